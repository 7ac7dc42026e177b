"""The server's account held against the client's: each cause of a difference is found and named, or it is flagged."""

from array import array
from typing import Any

import numpy as np
import pytest

from otel_llm.load.server.accounts import hold_against
from otel_llm.load.server.client_account import ClientAccount
from otel_llm.measures import Facts
from otel_llm.record import Chunks, StreamRecord


def record(outcome: str = "complete", **more: Any) -> StreamRecord:
    chunks = Chunks(array("q", (5, 6)), array("I", (1, 2)), array("B", (1, 1)), array("I", (9, 9)), array("I", (1, 1)))
    fields = {"input_tokens": 10, "output_tokens": 2, "token_source": "provider"} if outcome == "complete" else {}
    return StreamRecord(sent_ns=0, ended_ns=9, chunks=chunks, outcome=outcome, **fields | more)  # type: ignore[arg-type]


def client(*records: StreamRecord) -> ClientAccount:
    account = ClientAccount()
    account.add(Facts.of(*records))
    return account


NOTHING: dict[str, Any] = {"time_to_first_token": np.empty(0), "inter_token_latency": np.empty(0)}
WELL = [record()] * 6
EMBEDDED = [record(output_tokens=None, token_source=None)] * 6
LEFT = [record("closed_early")] * 2
TIMED_OUT = [record("error", error_type="read_timeout")]
REFUSED = [record("error", error_type="503", status=503)] * 2
NO_CONNECTION = [record("error", error_type="connect")] * 2
BROKEN = [record("error", error_type="disconnect", status=200)] * 2


def server(requests: int, *, failed: int = 0, tokens: tuple[int, int] | None = None, **more: Any) -> dict[str, Any]:
    tokens = tokens or (10 * (requests - failed), 2 * (requests - failed))
    return {
        "complete": True, "requests": requests, "failed": {"error": failed} if failed else {}, "reasons": {},
        "input_tokens": tokens[0], "output_tokens": tokens[1], "histograms": {}, **more,
    }  # fmt: skip


def vllm(requests: int, tokens: tuple[int, int], engine: str = "vllm") -> dict[str, Any]:
    return server(requests, tokens=tokens, sources=[{"engine": engine}])


SHORT = [record(audio_s=2.5, input_tokens=4 + 250, output_tokens=10)] * 3
LONG = [record(audio_s=110.0, input_tokens=4 + 11_000, output_tokens=10)] * 3
"""Four pieces each."""

CASES: list[tuple[str, dict[str, Any], list[StreamRecord], str, str, str]] = [
    ("alike", server(6), WELL, "requests", "same", ""),
    ("left, counted by nobody", server(6), WELL + LEFT, "requests", "explained", "2 were not waited for here, and"),
    ("left, counted well", server(8), WELL + LEFT, "answered well", "explained", "2 were not waited for here, and co"),
    ("timed out, counted well", server(7), WELL + TIMED_OUT, "answered well", "explained", "1 were not waited for"),
    ("left, said to be aborted", server(8, reasons={"abort": 2}), WELL + LEFT, "answered well", "same", ""),
    ("refused", server(6), WELL + REFUSED, "requests", "explained", "2 were refused before they ran"),
    ("no connection", server(6), WELL + NO_CONNECTION, "requests", "explained", "2 got no connection"),
    ("dropped", server(6), WELL + BROKEN, "requests", "explained", "2 broke off"),
    ("dropped there", server(8, failed=2), WELL + BROKEN, "failed", "same", ""),
    ("several", server(7), WELL + BROKEN + REFUSED, "requests", "explained", "3 of these: 2 were refused"),
    ("a cache in front", server(4), WELL, "requests", "flagged", "does not know of 2: a cache"),
    ("twice", server(12), WELL, "requests", "flagged", "each request came 2 times"),
    ("texts", server(18, tokens=(60, 12)), WELL, "requests", "explained", "each text or conversation in a request: 18"),
    ("texts, answered", server(18, tokens=(60, 12)), WELL, "answered well", "explained", "so here, too"),
    ("texts, of an embedding", server(18, tokens=(60, 0)), EMBEDDED, "input tokens", "same", ""),
    ("again", server(9, failed=3), WELL, "requests", "explained", "3 failed there and were answered here"),
    ("hidden", server(9, failed=3), WELL, "failed", "flagged", "3 failed there and not here"),
    ("others", server(11), WELL, "requests", "flagged", "5 are not this client's: other traffic"),
    ("nothing of ours", server(11), [], "requests", "flagged", "all of it is other traffic"),
    ("failed here alone", server(6), WELL + NO_CONNECTION, "failed", "explained", "failed here alone: connect 2"),
    ("not the same", server(8), WELL + [record("error", error_type="503", status=503)] * 2, "answered well", "flagged",
     "2 were answered well there and not here"),
    ("tokens alike", server(6), WELL, "output tokens", "same", ""),
    ("partial", server(8, tokens=(80, 16)), WELL + LEFT, "output tokens", "explained", "those of 2 answers that did"),
    ("tokens of others", server(9, tokens=(90, 18)), WELL, "output tokens", "flagged", "with those of the requests"),
    ("too few", server(6, tokens=(60, 11)), WELL, "output tokens", "flagged", "fewer than the answers' own usage says"),
    ("too many", server(6, tokens=(60, 13)), WELL, "output tokens", "flagged", "more than the answers' own usage says"),
    ("cached apart", server(6, tokens=(36, 12)), [record(cached_tokens=4)] * 6, "input tokens", "explained",
     "without 24 from its cache"),
    ("pieces", vllm(12, (48, 30)), LONG, "requests", "explained", "pieces of up to 30 s"),
    ("pieces, answered", vllm(12, (48, 30)), LONG, "answered well", "explained", "so here, too"),
    ("tokens of pieces", vllm(12, (48, 30)), LONG, "input tokens", "explained", "a token for each 10 ms of sound"),
    ("output of pieces", vllm(12, (48, 30)), LONG, "output tokens", "same", ""),
    ("with languages", vllm(15, (51, 33)), LONG, "requests", "explained", "and its language, unless"),
    ("tokens of languages", vllm(15, (51, 33)), LONG, "input tokens", "explained", "a token for each 10 ms of sound"),
    ("output of languages", vllm(15, (51, 33)), LONG, "output tokens", "explained", "one of each language"),
    ("a language each", vllm(6, (15, 33)), SHORT, "requests", "explained", "and its language, unless"),
    ("no language", vllm(3, (12, 30)), SHORT, "requests", "same", ""),
    ("sound in no language", vllm(3, (12, 30)), SHORT, "input tokens", "explained", "a token for each 10 ms of sound"),
    ("too many pieces", vllm(19, (76, 30)), LONG, "requests", "flagged", "16 are not this client's"),
    ("other tokens of pieces", vllm(12, (47, 30)), LONG, "input tokens", "flagged", "fewer than the answers'"),
    ("pieces elsewhere", vllm(12, (48, 30), "sglang"), LONG, "requests", "flagged", "each request came 4 times"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("theirs", "ours", "what", "verdict", "why"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_each_cause_has_its_name(
    theirs: dict[str, Any], ours: list[StreamRecord], what: str, verdict: str, why: str
) -> None:
    rows = {row["what"]: row for row in hold_against(theirs, client(*ours), NOTHING)}
    assert (rows[what]["verdict"], why in rows[what]["why"]) == (verdict, True), rows[what]


def test_answers_without_tokens_have_no_account_of_them() -> None:
    rows = [row["what"] for row in hold_against(server(6, tokens=(60, 0)), client(*EMBEDDED), NOTHING)]
    assert rows == ["requests", "answered well", "failed", "input tokens"]


def latency(name: str, mean: float, count: int, ours: list[float], **more: Any) -> dict[str, Any]:
    key = {"time_to_first_token": "server_time_to_first_token", "inter_token_latency": "server_inter_token_latency"}[
        name
    ]
    histogram = {"count": count, "mean": mean, "edges": [0.1, 1.0], "counts": [count // 2, count]}
    values = {"time_to_first_token": np.empty(0), "inter_token_latency": np.empty(0), name: np.array(ours)}
    theirs = server(6, **more) | {"histograms": {key: histogram}}
    return next(row for row in hold_against(theirs, client(*WELL), values) if row["unit"] == "s")


def test_a_first_token_is_later_here_and_never_earlier() -> None:
    row = latency("time_to_first_token", 0.4, 4, [0.05, 0.05, 0.5, 1.2])
    assert (row["verdict"], row["why"]) == ("explained", "50.00 ms on the way, in front of the server, and here")
    assert row["apart"] == pytest.approx(0.25)
    assert latency("time_to_first_token", 0.6, 4, [0.5] * 4)["verdict"] == "flagged"


def test_gaps_of_a_server_that_counts_steps_are_no_gaps() -> None:
    assert "4 steps" in latency("inter_token_latency", 0.5, 4, [0.25] * 8)["why"]
    assert latency("inter_token_latency", 0.25, 8, [0.25] * 8)["verdict"] == "same"
    assert latency("inter_token_latency", 0.25, 9, [0.25] * 8)["why"] == "of 9 there, of 8 here"
    apart = latency("inter_token_latency", 0.25, 8, [0.3] * 8)
    assert (apart["verdict"], apart["why"]) == ("flagged", "+20%: packets met or were held up on the way")


def test_a_server_that_was_not_looked_at_before_and_after_has_no_account() -> None:
    assert hold_against(server(6) | {"complete": False}, client(*WELL), NOTHING) == []


def test_tokens_that_were_counted_here_are_not_held_against_the_server_s() -> None:
    rows = hold_against(server(1), client(record(token_source="chunks")), NOTHING)
    assert [row["what"] for row in rows] == ["requests", "answered well", "failed"]

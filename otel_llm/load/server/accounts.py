"""The server's account of a run held against the client's: what is the same, what explains a difference, what nothing
explains.

A sentence explains a difference only where the counts bear it out. What is left over is flagged, with what it may be.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from otel_llm.load.server.client_account import ClientAccount
from otel_llm.load.server.recordings import counts_pieces, explained_tokens
from otel_llm.measures import Floats

__all__ = ["Account", "hold_against"]

Verdict = Literal["same", "explained", "flagged"]

_ALIKE: Final = 0.05
"""Share by which two means of the same gaps may differ: the first and the last packet take different times."""

_WHY_FEWER: Final = (
    ("never_arrived", "got no connection"),
    ("left", "were not waited for here, and such are in no count of the server"),
    ("refused", "were refused before they ran"),
    ("broken", "broke off"),
)
_OF_PIECES: Final = "the server's is of pieces, and of languages"
_LATENCIES: Final = (
    ("time_to_first_token", "server_time_to_first_token", "time to first token"),
    ("inter_token_latency", "server_inter_token_latency", "inter-token latency"),
)


class Account(NamedTuple):
    """One quantity by both.

    unit: "" for a count, "s" for the mean of a latency, of `counts` (server's, client's) values
    why:  what explains the difference, or what it may be
    """

    what: str
    unit: Literal["", "s"]
    server: float
    client: float
    verdict: Verdict
    why: str = ""
    counts: tuple[int, int] | None = None
    apart: float | None = None
    """The largest difference between the shares of both that are below one edge of the server's histogram, 0 to 1."""


def hold_against(
    server: Mapping[str, Any], client: ClientAccount, values: Mapping[str, Floats]
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the accounts as the report has them; none where the server was not looked at before and after.

    server: `server_report`'s; values: of each latency of the client, by its name
    """
    if not server["complete"]:
        return []
    rows = [*_counts(server, client), *_tokens(server, client)]
    more = server["requests"] is not None and server["requests"] > client.sent
    whose = "" if not more or _counts_texts(server, client) else "the server's is of other requests too"
    rows += _latencies(server, values, _OF_PIECES if more and _counts_pieces(server, client) else whose)
    return [row._asdict() for row in rows]


def _counts(server: Mapping[str, Any], client: ClientAccount) -> Iterator[Account]:
    if (requests := server["requests"]) is None:
        return
    failed = sum(server["failed"].values())
    answered = requests - failed - server["reasons"].get("abort", 0)
    if _counts_texts(server, client):
        why = f"the server counts each text or conversation in a request: {requests:,} in {client.sent:,}"
        yield Account("requests", "", requests, client.sent, "explained", why)
        yield Account("answered well", "", answered, client.succeeded, "explained", "so here, too")
    elif _counts_pieces(server, client) and requests > client.sent:
        why = "pieces of up to 30 s of each recording, and its language, unless --parameters language names it"
        yield Account("requests", "", requests, client.sent, "explained", why)
        yield Account("answered well", "", answered, client.succeeded, "explained", "so here, too")
    else:
        yield Account("requests", "", requests, client.sent, *_requests(requests, failed, client))
        yield Account("answered well", "", answered, client.succeeded, *_answered(answered, requests, client))
    ours = sum(client.failed.values())
    yield Account("failed", "", failed, ours, *_failed(failed, ours, client))


def _counts_texts(server: Mapping[str, Any], client: ClientAccount) -> bool:
    """Return whether the server has more requests, all of them well, and yet no more prompt tokens than the client."""
    more = server["requests"] is not None and server["requests"] > client.sent
    return more and not any(server["failed"].values()) and server["input_tokens"] == client.input_tokens > 0


def _counts_pieces(server: Mapping[str, Any], client: ClientAccount) -> bool:
    return not any(server["failed"].values()) and counts_pieces(server, client.sent, client.recordings)


def _requests(server: int, failed: int, client: ClientAccount) -> tuple[Verdict, str]:
    more = server - client.sent
    if not more:
        return "same", ""
    if more < 0:
        return _fewer(-more, client)
    if not client.sent:
        return "flagged", "all of it is other traffic"
    if server % client.sent == 0:
        return "flagged", f"each request came {server // client.sent} times: somebody between repeats them"
    retried = failed - client.refused - client.broken
    if retried == more:
        return "explained", f"{more:,} failed there and were answered here: somebody between sent them again"
    return "flagged", f"{more:,} are not this client's: other traffic, or somebody between sent some of ours again"


def _fewer(missing: int, client: ClientAccount) -> tuple[Verdict, str]:
    """Return why the server counts fewer requests than were sent."""
    causes = [(getattr(client, name), words) for name, words in _WHY_FEWER if getattr(client, name)]
    for count, words in causes:
        if count == missing:
            return "explained", f"{count:,} {words}"
    known = sum(count for count, _ in causes)
    said = ", ".join(f"{count:,} {words}" for count, words in causes)
    if known >= missing:
        return "explained", f"{missing:,} of these: {said}"
    unknown = missing - known
    beside = f"; {said}" if said else ""
    return (
        "flagged",
        f"the server does not know of {unknown:,}: a cache, or a server that is not looked at, took them{beside}",
    )


def _answered(server: int, requests: int, client: ClientAccount) -> tuple[Verdict, str]:
    more = server - client.succeeded
    if not more:
        return "same", ""
    if more < 0:
        return "flagged", f"{-more:,} were answered well here and not there: a cache or another server answered them"
    if more == client.left:
        return "explained", f"{more:,} were not waited for here, and count as answered there"
    if more == client.broken:
        return "explained", f"{more:,} did not end well here, and count as answered there"
    if requests > client.sent:
        return "flagged", "with the requests that are not this client's"
    if more <= client.left + client.broken:
        return "explained", f"{client.left:,} not waited for and {client.broken:,} broken off here may be among them"
    return "flagged", f"{more:,} were answered well there and not here"


def _failed(server: int, ours: int, client: ClientAccount) -> tuple[Verdict, str]:
    if server == ours:
        return "same", ""
    if server > ours:
        return "flagged", f"{server - ours:,} failed there and not here: hidden by somebody between, or another's"
    missing = ours - server
    causes = [client.never_arrived, client.refused, client.broken, client.left]
    if missing in causes or missing <= sum(causes):
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(client.failed.items()))
        return "explained", f"failed here alone: {kinds}"
    return "flagged", f"{missing:,} failed here alone"


def _tokens(server: Mapping[str, Any], client: ClientAccount) -> Iterator[Account]:
    if not client.provider:
        return  # two tokenizers are no two accounts of one thing
    more = (server["requests"] or 0) - client.sent
    for what, ours, partial in (
        ("input tokens", client.input_tokens, 0),
        ("output tokens", client.output_tokens, client.partial_tokens),
    ):
        theirs = server[what.replace(" ", "_")]
        nobody_s = what == "output tokens" and client.succeeded and not ours  # no answer has any
        if theirs is not None and not nobody_s:
            cached = client.cached_tokens if what == "input tokens" else 0
            verdict, why = _of_tokens(theirs - ours, cached, partial, more, client)
            if verdict == "flagged" and _counts_pieces(server, client):
                found = explained_tokens(what, server, ours, client.recordings)
                verdict, why = ("explained", found) if found else (verdict, why)
            yield Account(what, "", theirs, ours, verdict, why)


def _of_tokens(more: int, cached: int, partial: int, requests: int, client: ClientAccount) -> tuple[Verdict, str]:
    if not more:
        return "same", ""
    if cached and more == -cached:
        return "explained", f"without {cached:,} from its cache"
    if more < 0:
        return "flagged", "fewer than the answers' own usage says"
    unfinished = client.left + client.broken
    if partial and more == partial:
        return "explained", f"those of {unfinished:,} answers that did not end well here"
    if requests > 0:
        return "flagged", "with those of the requests that are not this client's"
    if unfinished and more >= partial:
        came = f"; {partial:,} of their tokens came" if partial else ""
        return "explained", f"{unfinished:,} answers did not end well here{came}"
    return "flagged", "more than the answers' own usage says"


def _latencies(server: Mapping[str, Any], values: Mapping[str, Floats], whose: str) -> Iterator[Account]:
    """whose: of which other requests the server's are; "" where of none"""
    for name, key, what in _LATENCIES:
        histogram, ours = server["histograms"].get(key), values[name]
        if histogram is None or not len(ours):
            continue
        counts = histogram["count"], len(ours)
        mean = float(ours.mean())
        verdict, why = _latency(name, histogram["mean"], mean, counts, whose)
        yield Account(what, "s", histogram["mean"], mean, verdict, why, counts, _apart(histogram, ours))


def _latency(
    name: str, server: float, client: float, counts: tuple[int, int], whose: str
) -> tuple[Verdict, str]:  # fmt: skip
    theirs, ours = counts
    if whose:
        return "explained" if whose is _OF_PIECES else "flagged", whose
    if name == "inter_token_latency" and theirs * 1.2 < ours:
        return "explained", f"the server counts {theirs:,} steps, of several tokens each, for {ours:,} gaps here"
    different = f"; of {theirs:,} there, of {ours:,} here" if theirs != ours else ""
    if name == "time_to_first_token":
        later = (client - server) * 1e3
        if later < 0:
            return "flagged", f"here it came before it was made: not the same requests, or another clock{different}"
        return "explained", f"{later:,.2f} ms on the way, in front of the server, and here{different}"
    if abs(client - server) > _ALIKE * server:
        return "flagged", f"{client / server - 1:+.0%}: packets met or were held up on the way{different}"
    return ("explained" if different else "same"), different.removeprefix("; ")


def _apart(histogram: Mapping[str, Any], ours: Floats) -> float | None:
    """Return the largest difference between the shares of both that are at most one of the edges."""
    edges, counts = histogram["edges"], histogram["counts"]
    if not edges or not histogram["count"]:
        return None
    here = np.searchsorted(np.sort(ours), edges, side="right") / len(ours)
    return float(np.max(np.abs(np.asarray(counts) / histogram["count"] - here)))

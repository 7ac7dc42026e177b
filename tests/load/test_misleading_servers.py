"""What servers do to whoever measures them. docs/traps.md has the table, one row per name here.

Each trap is played by a server that knows when it wrote which token; the figures must be its own.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from tokenizers import models, pre_tokenizers

from otel_llm.sinks.stored_run import read_records
from otel_llm.testing import CLOSE, RESET, ScriptedServer
from tests.load.conftest import Perf
from tests.load.test_perf import ANSWER, chat
from tests.truthserver.process import TruthServer

Run = Callable[..., Perf]

TTFT_S, ITL_S, TOKENS, NUMBER = 0.06, 0.008, 32, 12
PACE = f"ttft_ms={TTFT_S * 1e3:g};itl_ms={ITL_S * 1e3:g};tokens={TOKENS}"
TABLE = (Path(__file__).parent.parent.parent / "docs/traps.md").read_text("utf-8")

RIGHT = {
    "plain": ("", {}),
    "role chunk at 0 ms": ("role_ms=0", {}),
    "reasoning in `reasoning_content`": ("reasoning=16", {}),
    "reasoning in `reasoning`": ("reasoning=16;reasoning_field=reasoning", {}),
    "4 tokens an event": ("tok_per_event=4", {"first": 4}),
    "4 events a write": ("ev_per_write=4", {"pace": 28 / 31}),
    "an event split over 3 writes": ("split=3;split_gap_ms=1", {"late_s": 0.003}),
    "CRLF": ("crlf=true", {}),
    "keep-alive comments": ("comments=5", {}),
    "empty chunks": ("empty=5;role_ms=0", {}),
    "usage in every event": ("usage=every", {}),
    "usage always": ("usage=always", {}),
    "no usage": ("usage=never", {"source": "chunks"}),
    "no [DONE]": ("done=false", {}),
    "20 kB events": ("pad=20000", {}),
    "slow headers": ("header_ms=40", {}),
}


@pytest.mark.parametrize("trap", RIGHT)
def test_the_figures_are_the_servers(trap: str, perf: Run, truth: TruthServer) -> None:
    """S4.35, S4.36, S4.37: first token, packets, gaps"""
    knobs, expected = RIGHT[trap]
    run = perf(*chat(truth, f"{PACE};{knobs}"), "-n", str(NUMBER), "--parallel", "4")
    assert run.code == 0, run.err
    report = run.report
    measures, first = report["measures"], expected.get("first", 1)
    assert report["requests"]["succeeded"] == NUMBER
    assert report["tokens"]["output"] == NUMBER * TOKENS
    assert report["tokens"]["source"] == expected.get("source", "provider")
    written = [[w for w in row["w"] if w[2] > 0] for row in truth.log()]
    late_s = expected.get("late_s", 0.0)
    truly = float(np.median([writes[0][0] for writes in written])) / 1e9 + late_s
    # a trap is off by a whole first token or more; on a busy machine a request is a few ms on its way to the server
    assert measures["time_to_first_token"]["p50"] == pytest.approx(truly, rel=0.15)
    assert measures["inter_token_latency"]["count"] == NUMBER * (TOKENS - first)
    for name in ("inter_token_latency", "time_per_output_token"):
        # what came with the first token came at once: 28 of the 31 tokens after it took their time
        assert measures[name]["mean"] == pytest.approx(ITL_S * expected.get("pace", 1), rel=0.05), name
    assert measures["inter_token_latency"]["p50"] == pytest.approx(ITL_S, rel=0.1)
    assert f"| {trap} |" in TABLE


FAILED = {
    "error inside a good answer": ("fault=error;fault_at=8", "stream_error"),
    "disconnect in the middle": ("fault=disconnect;fault_at=8", "disconnect"),
    "stall": ("fault=stall;fault_at=8;stall_ms=20000", "read_timeout"),
    "bad JSON": ("fault=badjson;fault_at=8", "bad_event"),
    "429": ("fault=429", "429"),
    "500": ("fault=500", "500"),
    "503": ("fault=503", "503"),
}


@pytest.mark.parametrize("trap", FAILED)
def test_a_failure_is_a_failure_and_keeps_its_partial_times(trap: str, perf: Run, truth: TruthServer) -> None:
    """S4.43, S4.52: all requests fail, in each way"""
    knobs, kind = FAILED[trap]
    run = perf(*chat(truth, f"{PACE};{knobs}"), "-n", "6", "--parallel", "3", "--read-timeout", "0.5",
               "--compat", "llmuses")  # fmt: skip
    assert run.code == 1
    assert run.report["requests"] == {
        "planned": 6, "sent": 6, "succeeded": 0, "failed": 6, "cancelled": 0, "closed_early": 0, "errors": {kind: 6},
        "skipped": {},
    }  # fmt: skip
    measures = run.report["measures"]
    assert {measures[name]["count"] for name in ("time_to_first_token", "request_latency", "output_tokens")} == {0}
    assert " Failed requests: 6\n" in run.out
    assert " Average latency: -1\n" in run.out
    for record in read_records(run.run_file):
        assert record.error_type == kind
        if "fault_at" in knobs:
            assert sum(kind == 1 for kind in record.chunks.kind) == 8
    assert f"| {trap} |" in TABLE


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
REFUSAL = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n{"error":{"message":"busy"}}'
TOKEN = b'data: {"model":"m","choices":[{"delta":{"content":"a"},"finish_reason":null}]}\n\n'
END = b'data: {"model":"m","choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize(
    ("trap", "script", "kind"),
    [
        ("no finish reason", [HEAD, TOKEN, TOKEN, b"data: [DONE]\n\n", CLOSE], "no_finish"),
        ("connection reset", [HEAD, TOKEN, 0.05, RESET], "disconnect"),
        ("closed before the head", [CLOSE], "disconnect"),
        ("no HTTP", [b"SSH-2.0-OpenSSH_9.9\r\n", CLOSE], None),
        ("an HTML page with status 200", [HEAD.replace(b"event-stream", b"html"), b"<html>hello</html>", CLOSE], None),
        ("an error as JSON with status 200", [REFUSAL], None),
    ],
)  # fmt: skip
def test_what_is_no_whole_answer_is_a_failure(
    trap: str, script: list[bytes], kind: str | None, perf: Run
) -> None:  # fmt: skip
    with ScriptedServer(script) as server:
        run = perf("--url", f"{server.url}/v1/chat/completions", "--model", "m", "--prompt", "x", "-n", "2")
    assert run.code == 1, run.out
    errors = run.report["requests"]["errors"]
    assert sum(errors.values()) == 2
    assert len(errors) == 1
    assert kind is None or list(errors) == [kind]
    assert f"| {trap} |" in TABLE


def words(folder: Path) -> str:
    """Return the path of a tokenizer that counts words."""
    tiny = tokenizers.Tokenizer(models.WordLevel(vocab={"<unk>": 0}, unk_token="<unk>"))
    tiny.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]  # as its documentation does
    tiny.save(str(folder / "tokenizer.json"))
    return str(folder)


@pytest.mark.parametrize(
    ("trap", "knobs", "tokenizer", "flag"),
    [
        ("usage says too many", "usage_lie=40", True, "usage_disagrees"),
        ("usage says too few", "usage_lie=-20", False, "usage_below_chunks"),
        ("usage says too few", "tok_per_event=4;usage_lie=-20", True, "usage_disagrees"),
        ("a short answer", "", False, "short"),
    ],
)
def test_what_is_odd_is_flagged_and_shown(
    trap: str, knobs: str, tokenizer: bool, flag: str, perf: Run, truth: TruthServer, tmp_path: Path
) -> None:
    """S4.19, S4.38: usage first, the tokenizer as a check; nothing is silently better"""
    extra = ["--tokenizer-path", words(tmp_path)] if tokenizer else ["--parameters", "max_tokens=100"]
    run = perf(*chat(truth, f"itl_ms=1;tokens={TOKENS};{knobs}"), "-n", "4", *extra)
    assert run.report["flags"].get(flag) == 4
    assert f"{flag}: 4 of 4 requests" in " ".join(run.out.split())
    assert f"| {trap} |" in TABLE


def test_an_honest_usage_is_not_flagged(perf: Run, truth: TruthServer, tmp_path: Path) -> None:
    for knobs in ("", ";tok_per_event=4", ";reasoning=8"):
        run = perf(*chat(truth, f"itl_ms=1;tokens={TOKENS}{knobs}"), "--tokenizer-path", words(tmp_path))
        assert set(run.report["flags"]) <= {"apportioned"}


def test_an_answer_without_a_token_is_flagged(perf: Run) -> None:
    with ScriptedServer([HEAD, END, CLOSE]) as server:
        run = perf("--url", f"{server.url}/v1/chat/completions", "--model", "m", "--prompt", "x")
    assert run.report["flags"] == {"no_tokens": 1}
    assert "| an answer without a token |" in TABLE


def test_every_row_of_the_table_is_tested() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", TABLE, re.MULTILINE)
    known = {*RIGHT, *FAILED, "an answer without a token", "usage says too many", "usage says too few"}
    known |= {"a short answer", "no finish reason", "connection reset", "closed before the head", "no HTTP"}
    known |= {"special tokens alone", "tokens without text", "a usage that is no count", "events of another shape"}
    known |= {"a usage of zeros beside text", "a bill beyond the answer's bytes", "a usage of characters"}
    known |= {"a whole answer to a request for a stream", "no finish reason, but the bill and [DONE]"}
    known |= {"an HTML page with status 200", "an error as JSON with status 200", "Ctrl-C after 100 of 2000"}
    rows = [row for row in rows if row not in ("trap", "---") and not row.startswith("S4")]
    assert sorted(set(rows)) == sorted(known)


def test_a_good_answer_of_the_scripted_server_is_good(perf: Run) -> None:
    """So that what fails above fails for its own reason."""
    with ScriptedServer([ANSWER, CLOSE]) as server:
        run = perf("--url", f"{server.url}/v1/chat/completions", "--model", "m", "--prompt", "x")
    assert run.code == 0

"""`otel-llm perf --http2`, against Go's server and one by the h2 package: as true as by HTTP/1.1, and as plain where it
cannot be."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import mean
from struct import pack

import pytest
import trustme

from otel_llm.sinks.stored_run import read_records
from otel_llm.wire.connection import KERNEL_STAMPS
from tests.load.conftest import Perf
from tests.load.http2_server import Http2Server, Saying
from tests.load.test_exchange import HELLO, STOP, USAGE
from tests.load.test_perf import chat
from tests.truthserver.process import TruthServer, build, first_and_gaps

Run = Callable[..., Perf]
EVENTS = [event.strip().removeprefix(b"data: ") for event in (HELLO, STOP, USAGE)]


def ask(server: Http2Server, *more: str) -> list[str]:
    return ["--url", f"{server.url}/v1/chat/completions", "--model", "m", "--prompt", "x", "--http2", *more]


def goodbye(last: int) -> bytes:
    return pack("!xHBBIII", 8, 7, 0, 0, last, 0)


def test_counts_and_times_are_those_of_the_server(truth: TruthServer, perf: Run) -> None:
    """The means are within a fifth of the server's own, on a machine that does other things too."""
    knobs = "tokens=20;ttft_ms=60;itl_ms=10"
    off: dict[str, float] = {}
    for _ in range(3):
        truth.reset()
        run = perf(*chat(truth, knobs), "-n", "12", "--parallel", "3", "--http2")
        assert run.code == 0, run.err
        rows, measures = truth.log(), run.report["measures"]
        assert {row["proto"] for row in rows} == {"HTTP/2.0"}
        assert len({row["remote"] for row in rows}) == 3, "a connection for each of three at a time"
        assert measures["time_to_first_token"]["count"] == len(rows) == 12
        assert measures["inter_token_latency"]["count"] == 12 * 19
        assert measures["output_tokens"]["mean"] == 20
        first, gaps = first_and_gaps(rows)
        off = {
            "first": measures["time_to_first_token"]["mean"] / first.mean() - 1,
            "gap": measures["inter_token_latency"]["mean"] / gaps.mean() - 1,
        }
        if max(map(abs, off.values())) < 0.2:
            break
    else:
        pytest.fail(f"expected means within a fifth, got {off}")
    assert ("kernel receive stamps" in run.out) == KERNEL_STAMPS
    assert mean(record.connect_ns is not None for record in read_records(run.run_file)) == 3 / 12


def test_by_tls_it_is_agreed_on(tmp_path: Path, perf: Run) -> None:
    authority = trustme.CA()
    certificate, pair = authority.issue_cert("127.0.0.1"), (tmp_path / "cert.pem", tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(str(pair[0]))
    certificate.private_key_pem.write_to_path(str(pair[1]))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with TruthServer(build(), tmp_path / "log", pair) as server:
        for options, protocol in ((["--http2"], "HTTP/2.0"), ([], "HTTP/1.1")):
            server.reset()
            run = perf(*chat(server, "itl_ms=1"), "-n", "3", "--ca", str(tmp_path / "ca.pem"), *options)
            assert run.code == 0, run.err
            assert [row["proto"] for row in server.log()] == [protocol] * 3


def test_a_prompt_is_longer_than_the_windows_of_the_server(truth: TruthServer, perf: Run, tmp_path: Path) -> None:
    truth.reset()
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("long " * 600_000)
    run = perf(*chat(truth, "itl_ms=1"), "--prompt", f"@{prompt}", "-n", "2", "--http2")
    assert run.code == 0, run.err
    assert all(row["prompt_bytes"] > 3_000_000 for row in truth.log())


@pytest.mark.parametrize(
    ("knobs", "kind"),
    [
        ("fault=429", "429"),
        ("fault=disconnect;fault_at=2", "disconnect"),
        ("fault=error;fault_at=2", "stream_error"),
    ],
)
def test_what_fails_by_http1_fails_alike(truth: TruthServer, perf: Run, knobs: str, kind: str) -> None:
    kinds = [perf(*chat(truth, f"itl_ms=1;{knobs}"), "-n", "3", *more).report["requests"] for more in ([], ["--http2"])]
    assert kinds[0]["errors"] == kinds[1]["errors"] == {kind: 3}


def test_who_leaves_is_seen_to_leave(truth: TruthServer, perf: Run) -> None:
    truth.reset()
    run = perf(*chat(truth, "tokens=200;itl_ms=20"), "-n", "2", "--cancel", "100%:0.3s", "--http2")
    assert "answered none of 2 requests: they were left early, as planned" in run.out
    assert run.report["requests"]["closed_early"] == 2
    assert all(row["tokens"] < 200 for row in truth.log())


def test_a_goodbye_lets_an_answer_end_and_the_next_has_a_connection_of_its_own(perf: Run) -> None:
    def answer(saying: Saying) -> None:
        saying.head(content_type="text/event-stream")
        saying.event(EVENTS[0])
        saying.raw(goodbye(saying.stream))
        for event in (*EVENTS[1:], b"[DONE]"):
            saying.event(event, end=event == b"[DONE]")

    with Http2Server(answer) as server:
        run = perf(*ask(server, "-n", "4"))
        assert (run.code, run.report["requests"]["succeeded"]) == (0, 4), run.out
        assert server.connections >= 4


def test_a_request_that_a_goodbye_left_out_is_sent_again(perf: Run) -> None:
    def answer(saying: Saying) -> bool:
        if saying.stream == 5:
            saying.raw(goodbye(3))
            return True
        saying.head(content_type="text/event-stream")
        for event in (*EVENTS, b"[DONE]"):
            saying.event(event, end=event == b"[DONE]")
        return False

    with Http2Server(answer) as server:
        run = perf(*ask(server, "-n", "8"))
    assert (run.code, run.report["requests"]["succeeded"]) == (0, 8), run.out
    assert run.report["flags"]["resent"] >= 2


def test_an_answer_that_is_given_up_says_so(perf: Run) -> None:
    def answer(saying: Saying) -> None:
        saying.head(content_type="text/event-stream")
        saying.event(EVENTS[0])
        saying.raw(pack("!xHBBII", 4, 3, 0, saying.stream, 2))

    with Http2Server(answer) as server:
        run = perf(*ask(server, "-n", "2"))
    assert run.report["requests"]["errors"] == {"disconnect": 2}
    assert "the server gave the answer up: INTERNAL_ERROR" in run.out


def test_a_server_of_http1_is_told_in_a_line(perf: Run) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1/chat/completions"
        run = perf("--url", url, "--model", "m", "--prompt", "x", "--http2", "-n", "2", "--connect-timeout", "5")
        server.shutdown()
    assert run.code == 1
    assert run.report["requests"]["errors"] == {"http2": 2}
    assert "expected a server of HTTP/2, got " in run.err
    assert "an answer that begins with" in run.err
    assert "leave --http2 out" in run.err
    assert run.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--url", "ws://h:1", "--protocol", "openai_responses"], "expected --http2 with https://"),
        (["--url", "http://h:1", "--proxy", "http://p:2"], "got 'a proxy before http://'"),
    ],
)
def test_where_it_cannot_be_is_said_before_it_is_tried(perf: Run, options: list[str], words: str) -> None:
    run = perf(*options, "--model", "m", "--prompt", "x", "--http2")
    assert run.code == 2
    assert words in run.err
    assert run.err.count("\n") == 1

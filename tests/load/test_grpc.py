"""`otel-llm perf` by gRPC, against a server of grpcio: what is counted and when, and that status OK is no success."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest
import trustme

from otel_llm.errors import RemoteError
from otel_llm.load.worker.pool import Pool
from otel_llm.record import TEXT
from otel_llm.sinks.stored_run import read_records
from otel_llm.wire.connection import KERNEL_STAMPS
from otel_llm.wire.discovery import load_protocol
from otel_llm.wire.loop import new_loop
from otel_llm.wire.messages import MessageProtocol
from otel_llm.wire.protocol import Ask
from otel_llm.wire.target import Target
from otel_llm_plugins.kserve_grpc import KServeGrpc
from tests.load.conftest import Perf
from tests.load.grpc_server import TOKENS, GrpcServer, answer, in_stream, put
from tests.load.test_exchange import PLAN
from tests.truthserver.process import TruthServer, first_and_gaps

Run = Callable[..., Perf]


@pytest.fixture(scope="module")
def server() -> Iterator[GrpcServer]:
    with GrpcServer() as running:
        yield running


def ask(server: GrpcServer, model: str = "tok", scheme: str = "grpc") -> list[str]:
    url = f"{scheme}://127.0.0.1:{server.port}"
    return ["--url", url, "--protocol", "kserve_grpc", "--model", model, "--prompt", "hello"]


def plugin() -> type[MessageProtocol]:
    found = load_protocol("kserve_grpc")
    assert issubclass(found, MessageProtocol)
    return found


def test_what_messages_are_made_with_is_loaded_before_a_connection_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading protobuf takes longer than a first token may: no request waits for it."""
    prepared = list[None]()
    monkeypatch.setattr(KServeGrpc, "prepare", lambda: prepared.append(None))

    target = Target.parse("grpc://127.0.0.1:9")

    async def fail() -> None:
        with pytest.raises(RemoteError, match=r"expected a server at 127\.0\.0\.1:9"):
            await Pool(replace(PLAN, target=target, protocol=KServeGrpc), 1).connect(0)

    loop = new_loop()
    loop.run_until_complete(fail())
    loop.close()
    assert prepared


def test_messages_are_counted_and_timed_as_the_server_sent_them(perf: Run, server: GrpcServer) -> None:
    """The message that only ends the answer is no token, and the times are within a fifth of the server's own."""
    missed = []
    for _ in range(3):
        server.asked.clear()
        run = perf(*ask(server), "-n", "6", "--parallel", "3", "--headers", "X-Team=a")
        assert run.code == 0, run.err
        report, measures = run.report, run.report["measures"]
        assert report["requests"]["succeeded"] == len(server.asked) == 6
        assert measures["time_to_first_token"]["count"] == 6
        assert measures["inter_token_latency"]["count"] == 6 * (TOKENS - 1)
        assert measures["output_tokens"]["mean"] == TOKENS
        first = sum(asked.sent_ns[0] - asked.came_ns for asked in server.asked) / 6e9
        gaps = sum(asked.sent_ns[TOKENS - 1] - asked.sent_ns[0] for asked in server.asked) / (6e9 * (TOKENS - 1))
        pairs = (("time_to_first_token", first), ("inter_token_latency", gaps))
        missed = [(n, measures[n]["mean"], true) for n, true in pairs if abs(measures[n]["mean"] - true) > 0.2 * true]
        if not missed:
            break
    assert not missed
    asked = server.asked[0]
    assert asked.metadata["x-team"] == "a"
    assert "traceparent" in asked.metadata
    assert not {"host", "content-length", "accept"} & set(asked.metadata)
    assert put(1, "triton_enable_empty_final_response") in asked.message
    assert b"hello" in asked.message
    assert ("kernel receive stamps" in run.out) == KERNEL_STAMPS
    records = read_records(run.run_file)
    assert sum(record.connect_ns is not None for record in records) == 3  # one channel for each of three at a time


def test_first_token_and_gaps_are_within_three_percent_of_a_server_that_reads_at_once(
    truth: TruthServer, perf: Run
) -> None:
    """grpcio hands a request to its program some ms after it has come; Go's server does so at once."""
    where, knobs = truth.url.replace("http", "grpc"), "tokens=8,ttft_ms=300,itl_ms=50"
    options = ["--protocol", "kserve_grpc", "--model", "m", "--prompt", "x", "-n", "8", "--parallel", "2"]
    off: dict[str, float] = {}
    for _ in range(3):
        truth.reset()
        run = perf("--url", where, *options, "--headers", f"x-truth={knobs}")
        assert run.code == 0, run.err
        measures = run.report["measures"]
        assert measures["output_tokens"]["mean"] == 8
        first, gaps = first_and_gaps(truth.log())
        true = {"time_to_first_token": np.median(first), "inter_token_latency": np.median(gaps)}
        off = {name: measures[name]["p50"] / seconds - 1 for name, seconds in true.items()}
        if all(abs(error) < 0.03 for error in off.values()):
            return
    pytest.fail(f"expected medians within 3 %, got {off}")


@pytest.mark.parametrize(
    ("model", "kind", "words"),
    [
        ("error", "stream_error", "boom in the middle"),
        ("nothing", "no_finish", "ended without an event"),
        ("refuses", "resource_exhausted", "come back later"),
        ("breaks_off", "unavailable", "going away"),
        ("garbage", "bad_event", "a message of the protocol"),
    ],
)
def test_status_ok_is_no_success_and_any_other_is_a_kind_of_failure(
    perf: Run, server: GrpcServer, model: str, kind: str, words: str
) -> None:
    run = perf(*ask(server, model), "-n", "2")
    assert run.report["requests"]["errors"] == {kind: 2}
    assert words in run.out
    assert run.code == 1


@pytest.mark.parametrize(("model", "tokens"), [("last", 2), ("huge", 1)])
def test_an_answer_whose_last_token_ends_it_and_one_larger_than_grpc_takes_by_itself(
    perf: Run, server: GrpcServer, model: str, tokens: int
) -> None:
    run = perf(*ask(server, model), "-n", "2", "--no-content")
    assert run.code == 0, run.err
    assert run.report["measures"]["output_tokens"]["mean"] == tokens


def test_an_answer_in_one_piece_has_a_latency(perf: Run, server: GrpcServer) -> None:
    run = perf(*ask(server), "-n", "2", "--no-stream")
    assert run.code == 0, run.err
    measures = run.report["measures"]
    assert (measures["request_latency"]["count"], measures["time_to_first_token"]["count"]) == (2, 0)


def test_a_call_that_takes_too_long_is_cancelled_at_the_server(perf: Run, server: GrpcServer) -> None:
    server.asked.clear()
    run = perf(*ask(server, "stalls"), "--read-timeout", "0.5")
    assert run.report["requests"]["errors"] == {"read_timeout": 1}
    assert server.asked[0].cancelled


def test_the_server_is_told_how_long_a_request_may_take(perf: Run, server: GrpcServer) -> None:
    server.asked.clear()
    run = perf(*ask(server, "stalls"), "--request-timeout", "1")
    assert run.report["requests"]["errors"] == {"request_timeout": 1}
    assert "no end within 1 s" in run.out
    assert 0 < (server.asked[0].left_s or 0) < 1.1  # gRPC rounds it up on its way
    server.asked.clear()
    assert perf(*ask(server)).code == 0
    assert server.asked[0].left_s is None


def test_tls_is_verified(perf: Run, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
    with GrpcServer(grpc.ssl_server_credentials([pair])) as server:
        run = perf(*ask(server, scheme="grpcs"), "--ca", str(ca))
        assert run.code == 0, run.err
        unverified = perf(*ask(server, scheme="grpcs"), "--insecure")
        assert unverified.code == 0, unverified.err
        refused = perf(*ask(server, scheme="grpcs"), "--connect-timeout", "1")
    assert refused.code != 0
    assert "expected a TLS handshake with 127.0.0.1" in refused.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--url", "grpc://h:1", "--protocol", "openai_chat"], "expected a URL of http:// or https:// for openai_chat"),
        (["--url", "http://h:1", "--protocol", "kserve_grpc"], "expected a URL of grpc:// or grpcs:// for kserve_grpc"),
        (["--url", "grpc://h:1", "--protocol", "kserve_grpc", "--http2"], "leave it out"),
    ],
)
def test_what_grpc_cannot_do_is_said_before_it_is_tried(perf: Run, options: list[str], words: str) -> None:
    run = perf(*options, "--model", "m", "--prompt", "x")
    assert run.code == 2
    assert words in run.err
    assert run.err.count("\n") == 1


def test_a_message_cut_anywhere_is_read_or_refused() -> None:
    message = in_stream("hello", final=True)
    whole = plugin().unpack(message)
    assert b'"data":["hello"]' in whole
    assert b'"triton_final_response":true' in whole
    for at in range(len(message)):
        with contextlib.suppress(ValueError):
            assert plugin().unpack(message[:at]) != whole
    with pytest.raises(ValueError, match="a message of the protocol"):
        plugin().unpack(message[:-1])


def test_every_kind_of_input_and_output_is_packed_and_read() -> None:
    parameters = {"max_tokens": 7, "top_p": 0.5, "stream": True, "mode": "x", "stop": ["a"], "shape": [1, 1]}
    body = plugin().encode(Ask(model="m", messages=[{"content": "hi"}], parameters=parameters)).body
    packed = plugin().pack(body)
    for name, kind in (("max_tokens", "INT32"), ("top_p", "FP32"), ("stream", "BOOL"), ("mode", "BYTES")):
        assert put(1, name) + put(2, kind) + put(3, b"\x01\x01") in packed
    assert put(8, '["a"]') in packed
    numbers = put(5, put(1, "n") + put(2, "UINT32")) + put(6, (5).to_bytes(4, "little"))
    for version in ("1", "81"):
        assert b'"data":["hello"]' in plugin().unpack(put(2, version) + answer("hello"))
    typed = put(5, put(1, "t") + put(2, "BYTES") + put(5, put(8, "typed")))
    assert b'"name":"n","datatype":"UINT32","data":[5]' in plugin().unpack(put(2, numbers))
    assert b'"data":["typed"]' in plugin().unpack(put(2, typed))


@pytest.mark.parametrize(("data", "count"), [([3], 3), ([3.0], 3), (["3"], None), ([-1], None), ([], None)])
def test_a_count_of_tokens_is_read_from_any_tensor_of_numbers(data: list[object], count: int | None) -> None:
    outputs = [
        {"name": "text_output", "datatype": "BYTES", "data": ["Hi"]},
        {"name": "num_output_tokens", "data": data},
    ]
    plugin = KServeGrpc()
    assert plugin.decode(json.dumps({"outputs": outputs}).encode()) == (TEXT, "Hi", count or 0)
    assert plugin.said.output_tokens == count

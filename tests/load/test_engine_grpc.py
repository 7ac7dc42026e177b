"""`otel-llm perf` of vLLM and SGLang by gRPC: token ids are counted, whatever the counts beside them mean."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from smg_grpc_proto.generated import (
    sglang_scheduler_pb2,
    sglang_scheduler_pb2_grpc,
    vllm_engine_pb2,
    vllm_engine_pb2_grpc,
)

from otel_llm.cli import main
from otel_llm.load.worker.message_exchange import MessageExchange
from otel_llm.load.worker.pool import Pool
from otel_llm.load.worker.raw import Raw
from otel_llm.record import TEXT
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.stored_run import read_records
from otel_llm.wire.discovery import load_protocol
from otel_llm.wire.http import request_bytes
from otel_llm.wire.messages import MessageProtocol
from otel_llm.wire.target import Target
from tests.asking import ask_of
from tests.load.conftest import Perf
from tests.load.engine_servers import TOKENS, EngineServer
from tests.load.grpc_server import put
from tests.load.test_exchange import PLAN
from tests.load.tokenizers_made import byte_level

Run = Callable[..., Perf]
IDS = "input_ids=[5,6,7]"


@pytest.fixture(scope="module")
def server() -> Iterator[EngineServer]:
    with EngineServer() as running:
        yield running


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with SimProcess(Behaviour(ttft_ms=60, itl_ms=6, tokens=11), log=True, grpc=True) as running:
        yield running


def ask(url: str, protocol: str, prompt: str = "hello", *parameters: str) -> list[str]:
    more = ["--parameters", *parameters] if parameters else []
    return ["--url", url, "--protocol", protocol, "--model", "m", "--prompt", prompt, *more]


def answered(
    url: str, protocol: str, prompt: str, *, stream: bool = True, headers: Mapping[str, str] | None = None
) -> Raw:
    """Return what is noted of one request."""
    spoken = plugin(protocol)
    path = spoken.path("m", stream=stream)

    async def exchange() -> Raw:
        raw, ended = Raw(0, "", "", 0, 0), asyncio.Event()
        connection = await Pool(replace(PLAN, target=Target.parse(url + path), protocol=spoken), 1).connect(0)
        body = spoken.encode(ask_of(spoken, prompt, stream=stream)).body
        connection.send(request_bytes(path, "h", headers or {}, body), MessageExchange(raw, spoken(), ended.set))
        await asyncio.wait_for(ended.wait(), 30)
        connection.close()
        await asyncio.sleep(0)
        return raw

    return asyncio.run(exchange())


def plugin(name: str) -> type[MessageProtocol]:
    found = load_protocol(name)
    assert issubclass(found, MessageProtocol)
    return found


def test_vllm_is_counted_and_timed_as_it_sent(perf: Run, server: EngineServer) -> None:
    """The last message, which repeats ids of the last chunk, is no token; the rest is read by the gateway's stubs."""
    vllm, missed = server.vllm, []
    for _ in range(3):
        vllm.asked.clear()
        vllm.sent_ns.clear()
        run = perf(
            *ask(server.url, "vllm_grpc", "hello", "max_tokens=9", "temperature=0"), "-n", "6", "--parallel", "3"
        )
        assert run.code == 0, run.err
        measures = run.report["measures"]
        assert run.report["requests"]["succeeded"] == len(vllm.asked) == 6
        assert measures["output_tokens"]["mean"] == TOKENS
        assert measures["inter_token_latency"]["count"] == 6 * (TOKENS - 1)
        assert {(each.input_tokens, each.cached_tokens) for each in read_records(run.run_file)} == {(7, 3)}
        gap = sum(sent[-1] - sent[0] for sent in vllm.sent_ns) / (6e9 * (TOKENS - 1))
        missed = [] if abs(measures["inter_token_latency"]["mean"] - gap) < 0.2 * gap else [(measures, gap)]
        if not missed:
            break
    assert not missed
    assert run.report["flags"] == {}
    asked = vllm.asked[0]
    assert (asked.text, asked.stream, asked.sampling_params.max_tokens) == ("hello", True, 9)
    assert asked.sampling_params.HasField("temperature"), "0 is sent, and not left out as protobuf would"
    assert len({each.request_id for each in vllm.asked}) == 6


def test_sglang_is_sent_token_ids_and_what_it_would_take_for_zero(
    perf: Run, server: EngineServer, tmp_path: Path
) -> None:
    file = byte_level(tmp_path / "tokenizer.json")
    run = perf(*ask(server.url, "sglang_grpc", "river stone"), "-n", "3", "--tokenizer-path", str(file))
    assert run.code == 0, run.err
    measures, (asked, *_) = run.report["measures"], server.sglang.asked
    assert measures["output_tokens"]["mean"] == TOKENS
    assert measures["input_tokens"]["mean"] == len(asked.tokenized.input_ids) > 1
    assert run.report["flags"] == {}
    sampling = asked.sampling_params
    assert (sampling.n, sampling.temperature, sampling.skip_special_tokens) == (1, 1.0, True)
    server.sglang.asked.clear()
    assert perf(*ask(server.url, "sglang_grpc", "hello", IDS)).code == 0
    assert list(server.sglang.asked[0].tokenized.input_ids) == [5, 6, 7]


@pytest.mark.parametrize(
    ("prompt", "kind", "words"),
    [
        ("aborted", "stream_error", "finish reason 'abort'"),
        ("nothing", "no_finish", "ended without an event"),
        ("cut", "no_finish", "ended without a finish reason"),
        ("refused", "invalid_argument", "the prompt is too long"),
    ],
)
def test_status_ok_is_no_success(server: EngineServer, prompt: str, kind: str, words: str) -> None:
    ended = answered(server.url, "vllm_grpc", prompt)
    assert (ended.outcome, ended.error_type) == ("error", kind)
    assert words in ended.error_message


def test_an_answer_in_one_piece_has_its_tokens(server: EngineServer) -> None:
    ended = answered(server.url, "vllm_grpc", "hello", stream=False)
    assert (ended.outcome, ended.said.output_tokens) == ("complete", TOKENS)


@pytest.mark.parametrize(
    ("protocol", "parameters", "words"),
    [
        ("sglang_grpc", [], "expected a prompt in token ids for sglang_grpc, got 'text'; give --tokenizer-path"),
        (
            "vllm_grpc",
            ["wrong=1"],
            'expected parameters that vllm_grpc has, got Protocol message Sampling has no "wrong"',
        ),
    ],
)
def test_what_cannot_be_sent_is_one_line(
    protocol: str, parameters: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["perf", *ask("grpc://127.0.0.1:9", protocol, "x", *parameters)]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


CALLS: dict[str, Any] = {
    "vllm_grpc": (vllm_engine_pb2_grpc.VllmEngineStub, vllm_engine_pb2, {"text": "hi"}),
    "sglang_grpc": (
        sglang_scheduler_pb2_grpc.SglangSchedulerStub,
        sglang_scheduler_pb2,
        {"tokenized": sglang_scheduler_pb2.TokenizedInput(input_ids=[5, 6, 7])},
    ),
}


@pytest.mark.parametrize("name", sorted(CALLS))
def test_the_simulated_server_is_measured_and_the_gateways_stubs_read_it(perf: Run, sim: SimProcess, name: str) -> None:
    stub, messages, prompt = CALLS[name]
    sim.reset()
    run = perf(*ask(sim.grpc_url, name, "hello", IDS), "-n", "6", "--parallel", "3")
    assert run.code == 0, run.err
    measures, rows = run.report["measures"], sim.log()
    assert run.report["requests"]["succeeded"] == len(rows) == 6
    assert (measures["output_tokens"]["mean"], measures["input_tokens"]["mean"]) == (11, 3)
    assert measures["inter_token_latency"]["count"] == 6 * 10
    first = sum(row["first_token"] - row["recv"] for row in rows) / 6e9
    assert first <= measures["time_to_first_token"]["mean"] <= measures["request_latency"]["mean"]
    with grpc.insecure_channel(sim.grpc_url.removeprefix("grpc://")) as channel:
        heard = list(stub(channel).Generate(messages.GenerateRequest(stream=True, request_id="r", **prompt)))
        whole = list(stub(channel).Generate(messages.GenerateRequest(**prompt)))
    assert [len(each.chunk.token_ids) for each in heard] == [1] * 11 + [0]
    assert [each.chunk.completion_tokens for each in heard[:3]] == ([1, 2, 3] if "sglang" in name else [1, 1, 1])
    assert (heard[-1].complete.finish_reason, len(heard[-1].complete.output_ids)) == (
        "stop", 11 if "sglang" in name else 1,
    )  # fmt: skip
    assert [len(each.complete.output_ids) for each in whole] == [11]


@pytest.mark.parametrize("name", sorted(CALLS))
def test_gateways_find_the_simulated_server_well(sim: SimProcess, name: str) -> None:
    stub, messages, _ = CALLS[name]
    with grpc.insecure_channel(sim.grpc_url.removeprefix("grpc://")) as channel:
        assert stub(channel).HealthCheck(messages.HealthCheckRequest()).healthy


@pytest.mark.parametrize(
    ("method", "asked"),
    [
        ("grpc.health.v1.Health/Check", b""),
        ("inference.GRPCInferenceService/ServerLive", b""),
        ("inference.GRPCInferenceService/ServerReady", b""),
        ("inference.GRPCInferenceService/ModelReady", put(1, "m")),
    ],
)
def test_the_simulated_server_is_ready_and_that_is_no_request(sim: SimProcess, method: str, asked: bytes) -> None:
    sim.reset()
    with grpc.insecure_channel(sim.grpc_url.removeprefix("grpc://")) as channel:
        assert channel.unary_unary(f"/{method}")(asked, timeout=30) == put(1, 1)
    assert sim.log() == []


@pytest.mark.parametrize("stream", [True, False])
def test_triton_too_is_simulated(sim: SimProcess, stream: bool) -> None:
    ended = answered(sim.grpc_url, "kserve_grpc", "hello", stream=stream)
    assert (ended.outcome, b"".join(ended.kind).count(TEXT)) == ("complete", 11 if stream else 1)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("429", "resource_exhausted"), ("503", "unavailable"), ("error", "internal"), ("badjson", "bad_event"),
     ("disconnect", "unavailable")],
)  # fmt: skip
def test_a_fault_of_the_simulated_server_is_a_status(sim: SimProcess, fault: str, kind: str) -> None:
    """What came before it is kept."""
    ended = answered(sim.grpc_url, "vllm_grpc", "hello", headers={"x-sim": f"fault={fault},fault_at=2"})
    assert (ended.outcome, ended.error_type) == ("error", kind)
    assert b"".join(ended.kind).count(TEXT) == len(b"".join(ended.read)) / 4 == (0 if fault.isdigit() else 2)


def test_a_port_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--port", "0", "--grpc-port", "99999"]) == 2
    assert "choose a --grpc-port of 0 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_message_cut_anywhere_is_read_or_refused(name: str) -> None:
    messages = CALLS[name][1]
    chunk = messages.GenerateStreamChunk(token_ids=[300, 4], prompt_tokens=7, completion_tokens=2)
    message = messages.GenerateResponse(chunk=chunk).SerializeToString()
    whole = plugin(name).unpack(message)
    assert whole == b'{"chunk":{"token_ids":[300,4],"prompt_tokens":7,"completion_tokens":2}}'
    for at in range(len(message)):
        with contextlib.suppress(ValueError):
            assert plugin(name).unpack(message[:at]) != whole
    with pytest.raises(ValueError, match="a message of the protocol"):
        plugin(name).unpack(b"")

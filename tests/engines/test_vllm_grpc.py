"""`otel-llm perf` against a real vLLM by gRPC: whose tokens are counted, and where its answers end."""

from collections.abc import Iterator

import grpc
import pytest
from smg_grpc_proto.generated import vllm_engine_pb2, vllm_engine_pb2_grpc

from otel_llm.sinks.stored_run import read_records
from tests.engines.conftest import Run, started
from tests.engines.vllm_grpc import CONTEXT, VLLMByGrpc

pytestmark = pytest.mark.timeout(1200)

REQUESTS, TOKENS, IDS = 12, 8, [5, 6, 7]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLMByGrpc]:
    yield from started("vllm-grpc", VLLMByGrpc, tmp_path_factory)


def asked(engine: VLLMByGrpc, *parameters: str) -> list[str]:
    where = ["--url", f"grpc://{engine.address}", "--protocol", "vllm_grpc", "--model", "m", "--prompt", "x"]
    return [
        *where,
        "--parameters",
        f"input_ids={IDS}".replace(" ", ""),
        "ignore_eos=true",
        "temperature=0",
        *parameters,
    ]


def test_ids_are_counted_and_the_gateways_stub_hears_as_many(run: Run, engine: VLLMByGrpc) -> None:
    done = run(*asked(engine, f"max_tokens={TOKENS}"), "-n", str(REQUESTS), "--parallel", "6")
    assert done.code == 0, done.err
    measures = done.report["measures"]
    assert (measures["input_tokens"]["mean"], measures["output_tokens"]["mean"]) == (len(IDS), TOKENS)
    assert measures["inter_token_latency"]["count"] == REQUESTS * (TOKENS - 1)
    request = vllm_engine_pb2.GenerateRequest(
        request_id="r",
        stream=True,
        tokenized=vllm_engine_pb2.TokenizedInput(input_ids=IDS),
        sampling_params=vllm_engine_pb2.SamplingParams(max_tokens=TOKENS, ignore_eos=True, temperature=0),
    )
    with grpc.insecure_channel(engine.address) as channel:
        heard = list(vllm_engine_pb2_grpc.VllmEngineStub(channel).Generate(request, timeout=300))
    assert sum(len(each.chunk.token_ids) for each in heard) == TOKENS
    assert heard[-1].complete.completion_tokens == 1, "of its last message alone"


@pytest.mark.parametrize("limit", [[], ["max_tokens=5000"]])
def test_an_answer_ends_with_the_context_and_without_a_word(limit: list[str], run: Run, engine: VLLMByGrpc) -> None:
    done = run(*asked(engine, *limit), "-n", "1")
    (record,) = read_records(done.run_file)
    assert (done.code, record.output_tokens, record.finish_reasons) == (0, CONTEXT - len(IDS), ("length",))


def test_a_prompt_that_is_too_long_is_refused(run: Run, engine: VLLMByGrpc) -> None:
    ids = "input_ids=[" + ",".join(["5"] * (CONTEXT + 1)) + "]"
    done = run(*asked(engine, ids), "-n", "1")
    assert (done.code, done.report["requests"]["errors"]) == (1, {"invalid_argument": 1})

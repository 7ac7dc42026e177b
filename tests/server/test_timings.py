"""What answers say of the server's own time is read in every shape, and nothing is made of it."""

from types import SimpleNamespace
from typing import Any

import msgspec
import orjson
import pytest

from otel_llm.measures import Facts
from otel_llm.record import SERVER_PARTS, Chunks, ServerTimes, StreamRecord, from_json, to_json
from otel_llm.testing import MS, timeline
from otel_llm.wire.protocol import Protocol
from otel_llm.wire.protocol_files import find_protocol
from otel_llm.wire.said import Said
from otel_llm.wire.server_timings import timings_in
from otel_llm.wire.timing_headers import times_of_headers
from tests.load.test_exchange import DONE, END, HEAD, HELLO, STOP, Wire, chunk
from tests.load.test_exchange import USAGE as USAGE_EVENT

VLLM = {
    "time_to_first_token_ms": 18.0,
    "queue_time_ms": 589.0,
    "generation_time_ms": 630.0,
    "mean_itl_ms": 10.0,
    "tokens_per_second": 100.0,
}
"""vLLM 0.32 with `--max-num-seqs 2`: the client waited 623 ms for this first token."""
OF_VLLM = ServerTimes(source=("vllm",), queue=0.589, prefill=0.018, decode=0.63)
LLAMACPP = {"cache_n": 0, "prompt_n": 9, "prompt_ms": 12.5, "predicted_n": 4, "predicted_ms": 30.0}
OF_LLAMACPP = ServerTimes(source=("llama.cpp",), prefill=0.0125, decode=0.03)
OLLAMA = {"total_duration": 3294e6, "load_duration": 1e6, "prompt_eval_duration": 20e6, "eval_duration": 201e6}
"""Ollama 0.17, a request that waited for 3,072 ms: its total alone says so."""
OF_OLLAMA = ServerTimes(source=("ollama",), load=0.001, prefill=0.02, decode=0.201, total=3.294)
SGLANG = {
    "id": "r", "finish_reason": {"type": "stop"}, "prompt_tokens": 9, "completion_tokens": 4, "queue_time": 0.25,
    "request_received_ts": 1000.0, "prefill_finished_ts": 1000.5, "decode_finished_ts": 1001.5,
    "inference_time": 1.125, "e2e_latency": 1.625,
}  # fmt: skip
OF_SGLANG = ServerTimes(source=("sglang",), queue=0.25, prefill=0.125, first_token=0.5, decode=1.0, total=1.625)
SGLANG_0_5_23 = {
    "id": "r", "finish_reason": {"type": "length", "length": 4}, "prompt_tokens": 9, "weight_version": "default",
    "num_retractions": 0, "forward_entry_time": 1000.375, "prefill_finished_time": 1000.5, "queue_time": 0.25,
    "completion_tokens": 4, "cached_tokens": 0, "e2e_latency": 1.625, "request_received_ts": 1000.0,
    "first_token_latency": 0.625, "api_server_dispatch_finish_ts": 1000.0625, "request_finished_ts": 1001.625,
    "decode_throughput": 3.0,
}  # fmt: skip
OF_SGLANG_0_5_23 = ServerTimes(
    source=("sglang",), queue=0.25, prefill=0.125, first_token=0.625, decode=1.0, total=1.625
)
TAKEN_BACK = SGLANG_0_5_23 | {"num_retractions": 1, "queue_time": 1.25}
OF_TAKEN_BACK = msgspec.structs.replace(OF_SGLANG_0_5_23, queue=None)
USAGE = {"prompt_tokens": 9, "completion_tokens": 4}
GROQ = USAGE | {"queue_time": 0.5, "prompt_time": 0.25, "completion_time": 1.0, "total_time": 1.25}
OF_GROQ = ServerTimes(source=("groq",), queue=0.5, prefill=0.25, decode=1.0)
TIME_INFO = {"queue_time": 0.5, "prompt_time": 0.25, "completion_time": 1.0, "total_time": 2.0, "created": 1}
OF_CEREBRAS = ServerTimes(source=("cerebras",), queue=0.5, prefill=0.25, decode=1.0, total=2.0)

DYNAMO = {
    "request_received_ms": 1777312800000, "prefill_wait_time_ms": 12.5, "prefill_time_ms": 70.0, "ttft_ms": 82.5,
    "total_time_ms": 1000.0, "kv_hit_rate": 0.875,
}  # fmt: skip
OF_DYNAMO = ServerTimes(source=("dynamo",), queue=0.0125, prefill=0.07, first_token=0.0825, total=1.0)
NIM = {
    "type": "NIM LLM Model Stats", "version": "0.1.0", "llm_input_token_length": 9, "llm_output_token_length": 4,
    "generation_time_in_ms": 800.0, "time_in_queue_in_ms": 10.0,
    "response_tokens": {
        "response_token_length": 4, "time_to_first_token_in_ms": 110.0, "token_to_token_time_in_ms": 12.0,
        "tokens_per_second": 80.0,
    },
}  # fmt: skip
OF_NIM = ServerTimes(source=("nim",), queue=0.01, prefill=0.11)
LM_STUDIO = {
    "tokens_per_second": 51.4,
    "time_to_first_token": 0.111,
    "generation_time": 0.954,
    "stop_reason": "eosFound",
}
OF_LM_STUDIO = ServerTimes(source=("lm_studio",), first_token=0.111, decode=0.954)
TENSORRT_LLM = {
    "Server-Timing": "server_queue;dur=1.250000, server_ttft;dur=8.500000, server_e2e;dur=24.000000",
    "X-TRTLLM-Start-End-Time": "server-start;ts=12345.123456789, server-end;ts=12345.147456789",
}
OF_TENSORRT_LLM = ServerTimes(source=("server-timing",), queue=0.00125, first_token=0.0085, total=0.024)

LAST_EVENTS: list[tuple[str, dict[str, Any], ServerTimes | None]] = [
    ("openai_chat", {"choices": [], "usage": USAGE, "metrics": VLLM}, OF_VLLM),
    ("openai_completions", {"choices": [], "usage": USAGE, "metrics": VLLM}, OF_VLLM),
    (
        "openai_responses",
        {"type": "response.completed", "response": {"status": "completed", "metrics": VLLM}},
        OF_VLLM,
    ),
    ("openai_chat", {"choices": [], "usage": USAGE, "timings": LLAMACPP}, OF_LLAMACPP),
    ("llama_cpp_completion", {"content": "", "stop": True, "timings": LLAMACPP}, OF_LLAMACPP),
    ("ollama_chat", {"done": True, **OLLAMA}, OF_OLLAMA),
    ("ollama_generate", {"done": True, **OLLAMA}, OF_OLLAMA),
    ("sglang_generate", {"text": "", "meta_info": SGLANG}, OF_SGLANG),
    ("sglang_generate", {"text": "", "meta_info": SGLANG_0_5_23}, OF_SGLANG_0_5_23),
    ("sglang_generate", {"text": "", "meta_info": TAKEN_BACK}, OF_TAKEN_BACK),
    ("openai_chat", {"choices": [], "x_groq": {"id": "r", "usage": GROQ}}, OF_GROQ),
    ("openai_chat", {"choices": [], "usage": GROQ}, OF_GROQ),
    ("openai_chat", {"choices": [], "time_info": TIME_INFO}, OF_CEREBRAS),
    ("openai_chat", {"choices": [], "nvext": {"timing": DYNAMO}}, OF_DYNAMO),
    ("openai_chat", {"choices": [], "usage": USAGE, "stats": NIM}, OF_NIM),
    ("openai_completions", {"choices": [], "usage": USAGE, "stats": LM_STUDIO}, OF_LM_STUDIO),
    ("openai_chat", TENSORRT_LLM, OF_TENSORRT_LLM),
    ("openai_completions", TENSORRT_LLM, OF_TENSORRT_LLM),
    ("openai_chat", {"choices": [], "usage": USAGE}, None),
    ("openai_chat", {"choices": [], "nvext": {"worker_id": 3}, "stats": "none", "Server-Timing": 4}, None),
    ("openai_chat", {"choices": [], "metrics": ["of another kind"], "timings": "none"}, None),
    ("openai_chat", {"choices": [], "metrics": {"queue_time_ms": -1, "time_to_first_token_ms": 1e300}}, None),
    ("openai_chat", {"choices": [], "x_groq": {"id": "r"}}, None),
]


@pytest.mark.parametrize(("name", "event", "expected"), LAST_EVENTS)
def test_the_last_event_of_each_engine(name: str, event: dict[str, Any], expected: ServerTimes | None) -> None:
    plugin: Protocol = find_protocol(name)()
    plugin.decode(orjson.dumps(event))
    plugin.said.settle()
    found = ServerTimes.of(plugin.said.server)
    assert (found and found.source) == (expected and expected.source)
    if expected is not None:
        for part in SERVER_PARTS:
            assert getattr(found, part) == pytest.approx(getattr(expected, part)), part
    assert "malformed" not in plugin.said.flags


def test_what_tensorrt_llm_says_behind_the_end_of_a_stream_is_read() -> None:
    event = b"event: trtllm.perf_metrics\ndata: %b\n\n" % orjson.dumps(TENSORRT_LLM)
    record = Wire().read(HEAD + chunk(HELLO), chunk(STOP + USAGE_EVENT + DONE), chunk(event) + END).record
    assert (record.outcome, record.output_tokens) == ("complete", 2)
    assert record.server == OF_TENSORRT_LLM
    assert len(record.chunks) == 3  # text, its end, usage


def test_objects_of_a_library_are_read_as_mappings_are() -> None:
    assert timings_in(SimpleNamespace(usage=None, metrics=VLLM)) == timings_in({"metrics": VLLM})
    assert timings_in(SimpleNamespace(**OLLAMA)) == timings_in(OLLAMA)
    assert timings_in("a text") is None


def test_headers_of_servers_and_proxies() -> None:
    tgi = [(b"x-queue-time", b"12"), (b"x-total-time", b"512")]
    assert times_of_headers(tgi) == {"source": ("tgi",), "queue": 0.012, "total": 0.512}
    envoy = [(b"x-envoy-upstream-service-time", b"41")]
    assert times_of_headers(envoy) == {"source": ("envoy",), "upstream": 0.041}
    both = [(b"server-timing", b'cache;desc="a, b", queue;dur=12.5, total;desc="all";dur=40'), *envoy]
    assert times_of_headers(both) == {"source": ("server-timing",), "queue": 0.0125, "upstream": 0.04}
    assert times_of_headers([(b"x-queue-time", b"soon"), (b"server-timing", b"queue, miss;dur=")]) is None
    assert times_of_headers([(b"x-queue-time", b"inf")]) is None


def test_of_litellm_its_own_time_is_taken() -> None:
    """Of its proxy 1.108.7, a stream. Its head comes with the first token, so that the wait for it is no network's."""
    said = [
        *((b"x-litellm-response-duration-ms", b"76.92313194274902"), (b"x-litellm-overhead-duration-ms", b"61.7011")),
        (b"x-litellm-callback-duration-ms", b"0.0"),
    ]
    assert times_of_headers(said) == {"source": ("litellm",), "proxy": pytest.approx(0.0617011)}
    assert times_of_headers([(b"x-litellm-overhead-duration-ms", b"None")]) is None


def test_the_engine_s_word_comes_before_the_proxy_s() -> None:
    said = Said(server={"source": ("vllm",), "queue": 0.5})
    said.add_times({"source": ("envoy",), "queue": 9.0, "upstream": 1.0})
    said.add_times(None)
    assert said.server == {"source": ("vllm", "envoy"), "queue": 0.5, "upstream": 1.0}


def test_what_is_no_time_is_left_out() -> None:
    nonsense = {"queue": "soon", "prefill": float("nan"), "decode": True, "load": -1, "first_token": 1e7, "total": 1.0}
    said = Said(server={"source": ["plugin"], **nonsense})
    said.settle()
    assert said.server == {"source": ("plugin",), "total": 1.0}
    for server in ("fast", {}, {"queue": -1}):
        said = Said(server=server)  # type: ignore[arg-type]
        said.settle()
        assert said.server is None
    assert ServerTimes.of({"source": (), "of_a_newer_plugin": 1.0}) is None


def test_it_is_kept_with_the_record_and_older_records_are_read() -> None:
    record = StreamRecord(sent_ns=0, ended_ns=1, chunks=Chunks(), server=OF_OLLAMA)
    assert from_json(to_json(record)).server == OF_OLLAMA
    assert from_json(b'{"schema":1,"sent_ns":0,"ended_ns":1,"chunks":{}}').server is None


ONE_AND_TWO_SECONDS = timeline("r.......a.......|", step_ns=125 * MS)


def split_of(server: ServerTimes, **more: Any) -> dict[str, float | None]:
    record = msgspec.structs.replace(ONE_AND_TWO_SECONDS, server=server, **more)
    (facts,) = Facts.of(record)
    split = facts.first_token_split
    assert split is not None
    return split._asdict()


def test_what_does_not_add_up_is_a_remainder() -> None:
    split = split_of(ServerTimes(queue=0.5, prefill=0.25))
    assert split == {
        "whole": 1.0, "outside": None, "queue": 0.5, "load": None, "prefill": 0.25, "unexplained": 0.25,
    }  # fmt: skip
    assert split_of(ServerTimes(queue=0.75, prefill=0.5))["unexplained"] == -0.25


def test_outside_is_a_difference_of_two_accounts_of_the_same_thing() -> None:
    first = split_of(ServerTimes(first_token=0.75, total=1.0, queue=0.5))
    assert (first["outside"], first["unexplained"]) == (0.25, 0.25)
    assert split_of(ServerTimes(total=1.75))["outside"] == 0.25
    assert split_of(ServerTimes(total=1.75), outcome="error")["outside"] is None
    head = {"headers_ns": ONE_AND_TWO_SECONDS.sent_ns + 500_000_000}
    assert split_of(ServerTimes(upstream=0.375, proxy=0.0625), **head)["outside"] == 0.125
    own = split_of(ServerTimes(proxy=0.0625), **head)
    assert (own["outside"], own["unexplained"]) == (0.0625, 0.9375)

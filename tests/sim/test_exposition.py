"""`/metrics` of the simulator: an engine's page as our own table reads it, that counts what the log says."""

import asyncio
import urllib.request

import orjson
import pytest

from otel_llm.errors import ConfigError
from otel_llm.sim import Behaviour, SimServer
from otel_llm.sim.behaviour import ENGINES
from otel_llm.sim.engine_habits import HABITS
from otel_llm_collector.engine_tables.exposition import find_mismatches
from otel_llm_collector.engine_tables.reading import Reading, read_page, recognise
from otel_llm_collector.engine_tables.table import engine_tables, find_engine_table

VLLM = find_engine_table("vllm")


def page(sim: SimServer) -> str:
    with urllib.request.urlopen(f"{sim.url}/metrics") as answer:
        # Prometheus 3 takes no page that does not say that it is one
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        return str(answer.read().decode())


def ask(sim: SimServer, knobs: str = "") -> bytes:
    body = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True})
    url = f"{sim.url}/x/{knobs}/v1/chat/completions" if knobs else f"{sim.url}/v1/chat/completions"
    try:
        return bytes(urllib.request.urlopen(urllib.request.Request(url, data=body)).read())
    except OSError as error:
        return str(error).encode()


def test_it_is_a_page_of_vllm_and_counts_what_was_sent() -> None:
    with SimServer(Behaviour(ttft_ms=12, itl_ms=1, tokens=5, engine="vllm")) as sim:
        before = page(sim)
        assert find_mismatches(VLLM, before) == []
        assert recognise(before, engine_tables()) == VLLM
        for _ in range(3):
            ask(sim)
        ask(sim, "fault=500")
        ask(sim, "fault=error;fault_at=2")
        reading: Reading = read_page(page(sim), VLLM)
        rows = [row for row in sim.log if row["status"] == 200]
    assert reading.counters["server_requests"] == 5  # four that ran, and one refusal
    assert reading.failed == {"error": 1, "5xx": 1}
    assert reading.reasons == {"stop": 3, "length": 0, "abort": 0, "error": 1}
    assert reading.counters["server_generation_tokens"] == sum(row["tokens"] for row in rows) == 3 * 5 + 2
    assert reading.counters["server_prompt_tokens"] == sum(row["prompt_tokens"] for row in rows)
    first = reading.histograms["server_time_to_first_token"]
    assert first.count == 4
    assert first.sum == pytest.approx(sum(row["first_token"] - row["recv"] for row in rows) / 1e9)
    assert reading.histograms["server_inter_token_latency"].count == 3 * 4 + 1
    assert reading.gauges == {
        "server_requests_running": 0, "server_requests_waiting": 0, "server_kv_cache_utilization": 0,
    }  # fmt: skip


FAILED = {
    "dynamo": {"internal": 1, "overload": 1},
    "llamacpp": {},
    "lmdeploy": {"ResponseType.INTERNAL_ENGINE_ERROR": 1},
    "mistralrs": {"500": 1},
    "nim": {"_OTHER": 2},
    "sglang": {"abort": 1, "500": 1},
    "tensorrt_llm": {"error": 1, "500": 1},
    "tgi": {"generation": 1, "overloaded": 1},
    "triton": {"REJECTED": 1},
    "vllm": {"error": 1, "5xx": 1},
}
"""What each engine says of a stream that broke off and of a refusal."""


@pytest.mark.parametrize("engine", HABITS)
def test_every_engines_page_is_as_its_table_has_it_and_counts_what_was_sent(engine: str) -> None:
    table = find_engine_table(engine)
    with SimServer(Behaviour(ttft_ms=4, itl_ms=1, tokens=3, engine=engine, model="llama")) as sim:
        before = page(sim)
        left_out = [metric.name for metric in table.metrics if not metric.to]
        assert [line for line in find_mismatches(table, before) if not any(name in line for name in left_out)] == []
        assert recognise(before, engine_tables()) == table
        for knobs in ("", "", "fault=500", "fault=error;fault_at=2"):
            ask(sim, knobs)
        text = page(sim)
        ran = [row for row in sim.log if row["status"] == 200]
    reading = read_page(text, table)
    seconds = sum(row["first_token"] - row["recv"] for row in ran) / 1e9
    said = {"server_generation_tokens": 3 + 3 + 2, "server_prompt_tokens": sum(row["prompt_tokens"] for row in ran)}
    for key, count in said.items():
        assert reading.counters.get(key, count) == count
    for key, latency in reading.histograms.items():
        assert latency.count == (5 if key == "server_inter_token_latency" else 3)
    if first := reading.histograms.get("server_time_to_first_token"):
        assert first.sum == pytest.approx(seconds)
    assert reading.failed == FAILED[engine]
    assert {*reading.counters, *reading.histograms}
    if "model" in table.labels.values():
        assert any(f'{label}="llama"' in text for label, key in table.labels.items() if key == "model")


def test_edges_of_an_engine_that_counts_milliseconds_are_its_own() -> None:
    with SimServer(Behaviour(engine="triton")) as sim:
        assert 'nv_inference_first_response_histogram_ms_bucket{model="sim",version="1",le="100.0"} 0' in page(sim)


def test_who_leaves_is_in_no_count_of_requests() -> None:
    async def leave(url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        body = b'{"model":"m","messages":[],"stream":true}'
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        while b"tok" not in await reader.read(4096):
            continue
        writer.close()
        await writer.wait_closed()

    with SimServer(Behaviour(ttft_ms=1, itl_ms=20, tokens=500, engine="vllm")) as sim:
        asyncio.run(leave(sim.url))
        while sim.stats().inflight:
            continue
        reading = read_page(page(sim), VLLM)
    assert reading.histograms["server_time_to_first_token"].count == 1
    assert reading.histograms["server_request_duration"].count == reading.counters["server_requests"] == 0


def test_without_the_knob_there_is_none_and_no_request_turns_it_on() -> None:
    with SimServer(Behaviour()) as sim:
        with pytest.raises(OSError, match="404"):
            page(sim)
        assert b"400" in ask(sim, "engine=vllm")
    with pytest.raises(ConfigError, match="engine"):
        Behaviour(engine="ollama")
    assert {Behaviour(engine=each).engine for each in HABITS} == set(ENGINES)

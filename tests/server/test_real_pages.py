"""Pages and answers that real servers gave, read as they were: `make test-engines` asks the servers themselves.

A file's name has the engine and its version. Each was written by it on 28 November 2026, after the run that its test
describes, on a machine where others had most of the two cores; of a page, what no table lists was left out.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from otel_llm.load.server.said import server_report
from otel_llm.load.server.scrape import Look, Scrape
from otel_llm.load.server.source import Source
from otel_llm.record import ServerTimes
from otel_llm.testing import ScriptedServer
from otel_llm.wire.protocol_files import find_protocol
from otel_llm.wire.said import Said
from otel_llm_collector.engine_tables.exposition import find_mismatches
from otel_llm_collector.engine_tables.reading import Reading, read_page, recognise
from otel_llm_collector.engine_tables.table import engine_tables, find_engine_table

PAGES = Path(__file__).parent / "pages"


def page(name: str) -> str:
    return (PAGES / name).read_text()


def read(name: str) -> Reading:
    return read_page(page(name), find_engine_table(name.rpartition("_")[0]))


def report_of(name: str, output_tokens: int) -> dict[str, Any]:
    """Return what is reported of a run that began when all of this page's values were 0."""
    engine = name.rpartition("_")[0]
    before = read_page(re.sub(r"\S+$", "0", page(name), flags=re.MULTILINE), find_engine_table(engine))
    looks = [
        Scrape("http://it/metrics", tick, tick, engine, whole=True, reading=reading)
        for tick, reading in enumerate((before, read(name)))
    ]
    return server_report(looks, output_tokens)


@pytest.mark.parametrize("name", sorted(path.name for path in PAGES.glob("*.txt")))
def test_a_real_page_is_of_the_engine_that_wrote_it_and_has_what_its_table_lists(name: str) -> None:
    found = recognise(page(name), engine_tables())
    assert found is not None
    assert found.name == name.rpartition("_")[0]
    assert find_mismatches(found, page(name)) == []


def test_a_page_with_a_web_server_s_metrics_alone_is_no_engine_s() -> None:
    """infinity's, whose `http_requests_total` is called as mistral.rs calls its own."""
    assert recognise(page("others/infinity_0.0.78.txt"), engine_tables()) is None


def test_triton_after_thirty_streams_that_ended_and_ten_that_failed() -> None:
    """Every stream took 60 to 160 ms, and 10 of them ended in an error: neither is in its counts."""
    found = read("triton_2.51.0.txt")
    assert found.counters["server_requests"] == 40
    assert set(found.failed.values()) == {0}
    assert found.counters["server_request_time"] / 40 == pytest.approx(0.02696, abs=1e-5)
    assert found.gauges == {"server_requests_waiting": 0}


VLLM_RUN = {"queue": 32.42504921774962, "prefill": 1.3521480396002516, "first_token": 35.17939931605}
"""Means, s, of 20 answers with `--max-num-seqs 2` for six clients, as `otel-llm perf` reported the same minutes."""


def test_vllm_s_histograms_are_the_means_of_what_its_answers_said() -> None:
    """The clients of four others left: two while they waited, two while they were answered."""
    found = read("vllm_0.32.0.txt")
    assert found.reasons == {"stop": 0, "length": 20, "abort": 0, "error": 0, "repetition": 0}
    assert set(found.failed.values()) == {0}
    assert (found.counters["server_prompt_tokens"], found.counters["server_generation_tokens"]) == (
        22 * 7,
        20 * 24 + 15,
    )
    queue, prefill, first = (
        found.histograms[f"server_{name}"] for name in ("queue_duration", "prefill_duration", "time_to_first_token")
    )
    assert (queue.count, prefill.count, first.count) == (20, 20, 22), "who left with a token is in the last alone"
    assert queue.sum / queue.count == pytest.approx(VLLM_RUN["queue"])
    assert prefill.sum / prefill.count == pytest.approx(VLLM_RUN["prefill"])
    assert VLLM_RUN["queue"] + VLLM_RUN["prefill"] < first.sum / first.count < VLLM_RUN["first_token"]


SGLANG_RUN = {
    "queue": 1.2778801053328455,
    "prefill": 0.09272714455922444,
    "first_token": 1.4661506353333333 - 0.007438958500039517,
}
"""Means, s, of 24 answers with `--max-running-requests 2` for six clients; of the first token what was not outside."""


def test_sglang_s_histograms_are_the_means_of_what_its_answers_said_and_a_client_who_left_is_in_them() -> None:
    """After the run one client left behind a second token; who asked for the server's health was counted as waiting."""
    found = read("sglang_0.5.23.txt")
    assert found.counters["server_requests"] == 25
    assert found.failed == {"abort": 1}
    assert (found.counters["server_prompt_tokens"], found.counters["server_generation_tokens"]) == (25 * 4, 24 * 8 + 2)
    shared = report_of("sglang_0.5.23.txt", output_tokens=194)["prefix_cache"]
    assert shared == {"hits": 72, "of": 100, "share": 0.72}, "the cached ones are among its prompt tokens"
    queue, prefill, first = (
        found.histograms[f"server_{name}"] for name in ("queue_duration", "prefill_duration", "time_to_first_token")
    )
    assert (queue.count, prefill.count, first.count) == (26, 26, 25)
    assert queue.sum == pytest.approx(24 * SGLANG_RUN["queue"], rel=1e-3)
    assert first.sum - 24 * SGLANG_RUN["first_token"] == pytest.approx(0.1207, abs=1e-3)


def test_a_page_that_begins_with_the_first_request_counts_from_zero() -> None:
    """LiteLLM's, before and after the 24 requests that it was ever sent."""
    before, after = (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(text), text)
        for text in (b"python_info 1\n", page("litellm_1.108.7.txt").encode())
    )
    with ScriptedServer([before], [after]) as server:
        look = Look(Source([f"{server.url}/metrics"]))
        looks = [look(tick, whole=True) for tick in (0, 1)]
    report = server_report(looks, output_tokens=24 * 8)
    assert report["complete"]
    (source,) = report["sources"]
    assert (source["engine"], source["failed"], source["error"]) == ("litellm", 0, None)
    assert (report["requests"], report["input_tokens"], report["output_tokens"]) == (24, 24 * 77, 24 * 8)
    nobody = server_report(looks[:1], output_tokens=0)
    assert "no engine's metrics are in it" in nobody["sources"][0]["error"]
    assert (nobody["complete"], nobody["sources"][0]["failed"]) == (False, 1)


def said_in(name: str, protocol: str = "openai_chat") -> Said:
    """Return what an event says."""
    plugin = find_protocol(protocol)()
    plugin.decode((PAGES / name).read_bytes())
    plugin.said.settle()
    return plugin.said


def test_vllm_s_last_event() -> None:
    said = said_in("vllm_0.32.0_last_event.json")
    assert (said.input_tokens, said.output_tokens, said.flags) == (7, 24, ())
    assert ServerTimes.of(said.server) == ServerTimes(
        source=("vllm",), queue=0.00004624899884220213, prefill=0.956251705003524, decode=15.487954285999876
    )


@pytest.mark.parametrize("name", ["smg_0.3.2.txt", "vllm_router_0.1.17.txt"])
def test_routers_count_requests_and_nothing_that_only_asks_for_a_version_as_failed(name: str) -> None:
    """After 24 answers of 28 November 2026, and questions for the engine's version that it had no answer to."""
    found = read(name)
    assert (found.counters["server_requests"], found.failed) == (24, {})


def test_sglang_s_last_event() -> None:
    """Of a request that waited for nobody. Between the prefill's end and the first token lies its detokenizer."""
    said = said_in("sglang_0.5.23_last_event.json", "sglang_generate")
    assert (said.input_tokens, said.output_tokens, said.cached_tokens) == (4, 4, 3)
    assert (said.finish_reasons, said.flags) == (("length",), ())
    times = ServerTimes.of(said.server)
    assert times is not None
    assert (times.source, times.queue, times.first_token) == (("sglang",), 0.0013028510002186522, 0.09889784599909035)
    assert times.prefill == pytest.approx(0.0934458, abs=1e-6)
    assert times.decode == pytest.approx(0.3119735539985413 - 0.09889784599909035)
    assert times.total == 0.3119735539985413


def test_llama_server_counts_tokens_from_its_cache_apart() -> None:
    """After 24 requests of 77 tokens each, whose prompt was the same; the client of one left after its first token."""
    report = report_of("llamacpp_b10434.txt", output_tokens=184)
    assert (report["requests"], report["input_tokens"], report["output_tokens"]) == (None, 24 * 77, 23 * 8 + 3)
    assert report["prefix_cache"] == {"hits": 1672, "of": 24 * 77, "share": 1672 / 1848}


def test_llama_server_s_last_event() -> None:
    said = said_in("llamacpp_b10434_last_event.json")
    assert (said.input_tokens, said.output_tokens, said.cached_tokens, said.flags) == (56, 4, 0, ())
    assert ServerTimes.of(said.server) == ServerTimes(source=("llama.cpp",), prefill=0.148167, decode=0.055455)


def test_ollama_s_last_line() -> None:
    """Of a request that waited for nobody: what its total has besides is 1.7 ms."""
    said = said_in("ollama_0.17.4_last_line.json", "ollama_chat")
    assert (said.input_tokens, said.output_tokens, said.finish_reasons, said.flags) == (14, 4, ("length",), ())
    assert ServerTimes.of(said.server) == ServerTimes(
        source=("ollama",), load=0.002553868, prefill=0.011857717, decode=0.052728918, total=0.068883032
    )

"""The names of all metrics, as others store and query them: whoever renames one breaks dashboards that are not here.

Every other test asks for a name by its key. A name changes in two places: `otel_llm/conventions.py`, and here.
"""

import ast
import re
from pathlib import Path

import pytest

from otel_llm import conventions
from otel_llm.conventions import LATEST, V1_41

# Key, kind, unit and name; `-` where this profile has none.
STABLE = """
operation_duration            histogram     s         gen_ai.client.operation.duration
embeddings_duration           histogram     s         gen_ai.client.operation.duration
time_to_first_chunk           histogram     s         gen_ai.client.operation.time_to_first_chunk
time_per_output_chunk         histogram     s         gen_ai.client.operation.time_per_output_chunk
token_usage                   histogram     {token}   gen_ai.client.token.usage
usage_input_tokens            counter       {token}   -
usage_output_tokens           counter       {token}   -
usage_cached_tokens           counter       {token}   -
usage_cache_write_tokens      counter       {token}   -
usage_reasoning_tokens        counter       {token}   -
operation_input_tokens        histogram     {token}   -
operation_output_tokens       histogram     {token}   -
embeddings_input_tokens       histogram     {token}   -
server_request_duration       histogram     s         gen_ai.server.request.duration
server_time_to_first_token    histogram     s         gen_ai.server.time_to_first_token
server_time_per_output_token  histogram     s         gen_ai.server.time_per_output_token
time_to_first_token           histogram     s         otel_llm.client.time_to_first_token
inter_token_latency           histogram     s         otel_llm.client.inter_token_latency
time_per_output_token         histogram     s         otel_llm.client.time_per_output_token
max_inter_token_latency       histogram     s         otel_llm.client.max_inter_token_latency
output_throughput             histogram     {token}/s otel_llm.client.output_throughput
active_requests               updowncounter {request} otel_llm.client.active_requests
queue_delay                   histogram     s         otel_llm.load.queue_delay
load_requests                 counter       {request} otel_llm.load.requests
loop_lag                      histogram     s         otel_llm.load.loop_lag
run_info                      gauge         1         otel_llm.run.info
slo_requests                  counter       {request} otel_llm.slo.requests
server_inter_token_latency    histogram     s         otel_llm.server.inter_token_latency
server_queue_duration         histogram     s         otel_llm.server.queue.duration
server_prefill_duration       histogram     s         otel_llm.server.prefill.duration
server_decode_duration        histogram     s         otel_llm.server.decode.duration
server_inference_duration     histogram     s         otel_llm.server.inference.duration
server_kv_transfer_duration   histogram     s         otel_llm.server.kv_transfer.duration
server_kv_transfer_failures   counter       {failure} otel_llm.server.kv_transfer.failures
server_request_prompt_tokens  histogram     {token}   otel_llm.server.request.prompt_tokens
server_request_generation_tokens histogram  {token}   otel_llm.server.request.generation_tokens
server_prompt_cached_tokens   counter       {token}   otel_llm.server.prompt.cached_tokens
server_speculation_drafts     counter       {draft}   otel_llm.server.speculation.drafts
server_speculation_draft_tokens counter     {token}   otel_llm.server.speculation.draft_tokens
server_speculation_accepted_tokens counter  {token}   otel_llm.server.speculation.accepted_tokens
server_speculation_accepted_ratio gauge     1         otel_llm.server.speculation.accepted_ratio
server_requests               counter       {request} otel_llm.server.requests
server_requests_failed        counter       {request} otel_llm.server.requests.failed
server_requests_in_flight     gauge         {request} otel_llm.server.requests.in_flight
server_requests_running       gauge         {request} otel_llm.server.requests.running
server_requests_waiting       gauge         {request} otel_llm.server.requests.waiting
server_kv_cache_utilization   gauge         1         otel_llm.server.kv_cache.utilization
server_prefix_cache_queries   counter       {token}   otel_llm.server.prefix_cache.queries
server_prefix_cache_hits      counter       {token}   otel_llm.server.prefix_cache.hits
server_prefix_cache_hit_ratio gauge         1         otel_llm.server.prefix_cache.hit_ratio
server_preemptions            counter       {request} otel_llm.server.preemptions
server_prompt_tokens          counter       {token}   otel_llm.server.prompt.tokens
server_generation_tokens      counter       {token}   otel_llm.server.generation.tokens
server_request_time           counter       s         otel_llm.server.request.time
server_queue_time             counter       s         otel_llm.server.queue.time
server_prompt_time            counter       s         otel_llm.server.prompt.time
server_generation_time        counter       s         otel_llm.server.generation.time
gpu_utilization               gauge         1         hw.gpu.utilization
gpu_memory_usage              updowncounter By        hw.gpu.memory.usage
gpu_memory_limit              updowncounter By        hw.gpu.memory.limit
gpu_memory_free               updowncounter By        otel_llm.gpu.memory.free
gpu_power                     gauge         W         hw.power
gpu_energy                    counter       J         hw.energy
gpu_temperature               gauge         Cel       hw.temperature
"""
# What the latest profile calls otherwise.
LATEST_NAMES = """
operation_duration      gen_ai.client.inference.duration
embeddings_duration     gen_ai.client.embeddings.duration
time_to_first_chunk     gen_ai.client.inference.time_to_first_chunk
time_per_output_chunk   gen_ai.client.inference.time_per_output_chunk
token_usage             -
usage_input_tokens      gen_ai.client.inference.usage.input_tokens
usage_output_tokens     gen_ai.client.inference.usage.output_tokens
usage_cached_tokens     gen_ai.client.inference.usage.cache_read.input_tokens
usage_cache_write_tokens gen_ai.client.inference.usage.cache_write.input_tokens
embeddings_input_tokens gen_ai.client.embeddings.operation.input_tokens
usage_reasoning_tokens  gen_ai.client.inference.usage.reasoning.output_tokens
operation_input_tokens  gen_ai.client.inference.operation.input_tokens
operation_output_tokens gen_ai.client.inference.operation.output_tokens
"""
RENAMED = dict(line.split() for line in LATEST_NAMES.strip().splitlines())
ROWS = [(*row, RENAMED.get(row[0], row[3])) for line in STABLE.strip().splitlines() if (row := line.split())]
NAMES = {name for row in ROWS for name in row[3:] if name != "-"}

TESTS = Path(__file__).parent
SPELL_NAMES = {
    "test_vocabulary.py",  # this table
    "collector/test_generated.py",  # a table of an engine, as its author writes it
    "dashboards/fed/test_numbers.py",  # what others send
    "dashboards/fed/test_queries.py",  # what no one sends, as Prometheus calls it
    "libraries/test_other_instrumentations.py",  # the metrics of another instrumentation
    "real/test_engine_pages.py",  # queries as a person types them
    "real/test_senders.py",  # queries as a person types them
    "real/test_series_bounds.py",  # queries as a person types them
    "real/test_victoriametrics.py",  # queries as a person types them
    "real/test_vocabulary.py",  # an application that others instrumented
}


def test_each_instrument_has_its_names_its_unit_and_its_kind() -> None:
    assert [
        (made.key, made.kind, made.unit, made.v1_41 or "-", made.latest or "-")
        for made in conventions.INSTRUMENTS.values()
    ] == ROWS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_profile_gives_its_own_names(row: tuple[str, ...]) -> None:
    key, _, _, stable, latest = row
    made = conventions.instrument(key)
    assert made.names((V1_41,)) == tuple(name for name in (stable,) if name != "-")
    assert made.names((LATEST,)) == tuple(name for name in (latest,) if name != "-")
    assert made.names((V1_41, LATEST)) == tuple(dict.fromkeys(name for name in (stable, latest) if name != "-"))


def test_the_page_on_the_conventions_has_every_name_that_differs() -> None:
    page = (TESTS.parent / "docs" / "conventions.md").read_text("utf-8")
    rows = [re.sub("`|, of embeddings", "", line).strip("| ").split(" | ") for line in page.splitlines()]
    listed = [
        tuple(row)
        for row in rows
        if len(row) == 2 and row[0].startswith(("gen_ai.client", "–")) and "client" in row[1] + row[0]
    ]
    differ = [(stable, latest) for _, _, _, stable, latest in ROWS if stable != latest]
    assert sorted(listed) == sorted((stable.replace("-", "–"), latest.replace("-", "–")) for stable, latest in differ)
    for name in (*conventions.USAGE_CACHE_WRITE_INPUT_TOKENS.values(), *conventions.NEW_IN_LATEST):
        assert f"`{name}`" in page


def spelled(path: Path) -> set[str]:
    """Return the metric names in the texts of a file, with dots or as Prometheus calls them."""
    texts = [node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)]
    text = "\n".join(text for text in texts if isinstance(text, str))
    return {
        name for name in NAMES if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])|{name.replace('.', '_')}", text)
    }


def test_no_other_test_spells_a_name() -> None:
    found = {path.relative_to(TESTS).as_posix() for path in TESTS.rglob("*.py") if spelled(path)}
    assert found == SPELL_NAMES

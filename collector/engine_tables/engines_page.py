"""docs/engines.md: what each engine gives, under which name, and what it cannot give."""

from collections.abc import Iterator
from typing import Final

from otel_llm_collector.engine_tables.table import EngineTable, Metric, engine_tables
from otel_llm_collector.vocabulary import bucket_family
from otel_llm_collector.yaml_text import header

__all__ = ["engines_page"]

_COLUMNS: Final = (
    ("first token", ("server_time_to_first_token", "time_to_first_chunk")),
    ("gaps", ("server_inter_token_latency",)),
    ("per token", ("server_time_per_output_token",)),
    ("request", ("server_request_duration", "server_request_time")),
    ("queue", ("server_queue_duration", "server_queue_time")),
    ("prefill", ("server_prefill_duration",)),
    ("decode", ("server_decode_duration",)),
    ("load", ("server_requests_running", "server_requests_in_flight", "server_requests_waiting")),
    ("cache", ("server_kv_cache_utilization",)),
    ("speculation", ("server_speculation_draft_tokens", "server_speculation_accepted_ratio")),
    ("transfers", ("server_kv_transfer_duration",)),
)

_WITHOUT_A_TABLE: Final = {
    "Ollama": "no metrics endpoint at all: measure at the client, or behind LiteLLM at the gateway",
    "Envoy AI Gateway": "speaks `gen_ai.server.*` and `gen_ai.client.token.usage` over OTLP: set its "
    "`OTEL_EXPORTER_OTLP_ENDPOINT` to the Collector, and `OTEL_METRICS_EXPORTER=otlp`. It names a provider, so it "
    "counts as a gateway",
    "Dynamo's workers": "show their engine's own metrics at `DYN_SYSTEM_PORT`: set `VLLM_TARGETS` or `SGLANG_TARGETS` "
    "to it. Their `dynamo_component_*` count the same requests once more",
    "production-stack router": "repeats its engines' load under their names: scrape the engines, and not it. What it "
    "says of a `server` is left out if you do",
    "LMCache": "`lmcache:*` tell of blocks and look-ups in its own store. What a request had from it, vLLM tells: "
    "`vllm:prompt_tokens_cached_by_source_total`",
    "xLLM": "its histograms are percentiles of the last ten seconds, which cannot be added up, and its counters are "
    "gauges: measure at the client",
}
"""What people run that has metrics and gets no table, and why."""


def engines_page() -> str:
    """Return docs/engines.md."""
    comment = header("collector/engines").removeprefix("# ").strip()
    return "\n".join(
        (f"<!-- {comment} -->", *_summary(), *(line for table in engine_tables() for line in _section(table)), "")
    )


def _summary() -> Iterator[str]:
    yield "# What each engine gives"
    yield (
        "`p` percentiles, `mean` only a mean, `✓` a value, and nothing where the engine has nothing. Where a cell is "
        "empty, measure at the client: the load generator and the instrumentation see every token."
    )
    yield ""
    yield f"| engine | vantage | {' | '.join(title for title, _ in _COLUMNS)} | errors | edges can be aligned |"
    yield f"|---|---|{'---|' * len(_COLUMNS)}---|---|"
    for table in engine_tables():
        cells = " | ".join(_cell(table, keys) for _, keys in _COLUMNS)
        errors = "✓" if any(map(_tells_errors, table.metrics)) else ""
        aligned = "✓" if table.profile else ""
        yield f"| [{table.title}](#{_anchor(table)}) | {table.vantage} | {cells} | {errors} | {aligned} |"
    yield ""
    yield "Without a table of their own:"
    yield ""
    yield "| what | why, and what to do |"
    yield "|---|---|"
    yield from (f"| {what} | {why} |" for what, why in _WITHOUT_A_TABLE.items())
    yield ""
    yield (
        "Names, types and edges are those of the release or source that each table states. The tests hold the tables "
        "against /metrics pages and name every listed metric that is missing or different; "
        "`otel_llm_collector.engine_tables.exposition.find_mismatches` does so for a page of yours. The Collector goes "
        "by the edges that arrive, not by these. A Prometheus that scrapes an engine itself gets the same names by "
        "`rules/scraped/NAME.yaml` ([collector.md](collector.md)); only histograms in milliseconds are left out there. "
        "[declared.md](declared.md) has every metric of a release, with why what is not listed here is left out."
    )


def _cell(table: EngineTable, keys: tuple[str, ...]) -> str:
    found = [metric for metric in table.metrics if metric.to in keys]
    if any(metric.type == "histogram" for metric in found):
        return "p"
    if any(metric.type == "counter" and metric.instrument.unit == "s" for metric in found):
        return "mean"
    return "✓" if found else ""


def _tells_errors(metric: Metric) -> bool:
    return bool(metric.error_when or metric.error)


def _section(table: EngineTable) -> Iterator[str]:
    yield ""
    yield f"## {table.title}"
    yield f"{table.gives}"
    yield ""
    yield f"- Metrics: {table.enable}; port {table.port}, `{table.path}`. Targets: `{table.name.upper()}_TARGETS`."
    yield f"- Names and edges as in {', '.join(table.versions)}: {table.source}."
    if table.profile:
        yield f"- Aligned edges: `otel-llm collector buckets --engine {table.name}` ({table.profile.since})."
    yield ""
    yield "| metric | type | becomes | note |"
    yield "|---|---|---|---|"
    yield from (_row(table, metric) for metric in table.metrics)


def _row(table: EngineTable, metric: Metric) -> str:
    becomes = f"`{metric.target}`" if metric.to else ("passes as it is" if metric.passed else f"— ({metric.cannot})")
    kind: str = metric.type
    if metric.buckets:
        edges = table.edges(metric)
        families = [f"`{bucket_family.name(each)}`" for each in table.edges_by_version(metric).values()]
        earlier = f" (earlier {', '.join(families[1:])})" if families[1:] else ""
        kind = f"histogram, {edges[0]:g} to {edges[-1]:g} s, family {families[0]}{earlier}"
    notes = "; ".join(filter(None, (*_conditions(metric), metric.note, metric.optional)))
    return f"| `{metric.name}` | {kind} | {becomes} | {notes} |"


def _conditions(metric: Metric) -> Iterator[str]:
    """Yield which of its series are taken, and what their error.type is."""
    for label, pattern in metric.only.items():
        yield f"only `{label}` = `{_cell_text(pattern)}`" if pattern else f"only without `{label}`"
    for label, pattern in metric.error_when.items():
        yield f"error.type: `{label}` = `{_cell_text(pattern)}`"
    if metric.error:
        yield f"error.type={metric.error}"


def _cell_text(text: str) -> str:
    return text.replace("|", "\\|")


def _anchor(table: EngineTable) -> str:
    return "".join(letter for letter in table.title.lower().replace(" ", "-") if letter.isalnum() or letter == "-")

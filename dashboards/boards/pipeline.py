"""Board 5: whether the data of the other boards arrives: the Collector, its queues, and the number of series."""

from otel_llm_collector.vocabulary.collector_self_metrics import CPU, MEMORY, QUEUE_CAPACITY, QUEUE_SIZE, UPTIME, select
from otel_llm_dashboards.drawing import charts, variables
from otel_llm_dashboards.drawing.board import Board, Row
from otel_llm_dashboards.drawing.panel import Panel, Query
from otel_llm_dashboards.panels import collector_flow
from otel_llm_dashboards.panels.collector_flow import CHOSEN_COLLECTOR
from otel_llm_dashboards.queries.labels import INSTANCE, INTERVAL, JOB, legend
from otel_llm_dashboards.queries.recorded import recorded_series

__all__ = ["board"]

_SERIES, _BUDGET = recorded_series("series:count"), recorded_series("series_budget:count")


def board() -> Board:
    """Return the board."""
    return Board(
        "pipeline",
        "LLM pipeline health",
        "Whether the data behind the other boards has all arrived: what the Collector accepts, refuses, queues and "
        "sends on, what it cannot scrape, and how many series all of this takes.",
        rows=(
            Row(
                "Right now",
                (
                    collectors(),
                    missing(),
                    fullest(),
                    collector_flow.refused_now(),
                    collector_flow.lost_now(),
                    series_now(),
                ),
                folded=False,
            ),
            Row("What comes in and goes out", (collector_flow.received(), collector_flow.sent()), folded=False),
            Row("What is lost", (collector_flow.refused(), collector_flow.lost()), folded=False),
            Row("Queues", (queue(), waiting()), folded=False),
            Row("Series budget", (series_budget(), by_job()), folded=False),
            Row("Scrapes", (answering(), samples())),
            Row("The Collector as a process", (memory(), processor())),
        ),
        variables=[
            *variables.data_sources(),
            variables.query_values("collector", "Collector", f"label_values({select(UPTIME)}, {INSTANCE})"),
        ],
    )


# -- right now -----------------------------------------------------------------------------------------------------


def collectors() -> Panel:
    """Show how many Collectors report."""
    return charts.number(
        "Collectors",
        "Collectors that report about themselves. Their own telemetry takes the same way as the rest: one that is "
        "down, or whose store accepts nothing, is missing here.",
        "none",
        Query(f"count({select(UPTIME, CHOSEN_COLLECTOR)}) or vector(0)"),
    )


def missing() -> Panel:
    """Show how many targets do not answer."""
    return charts.number(
        "Targets that do not answer",
        "Engines and Collectors that a Collector cannot scrape: their data is missing from every board.",
        "none",
        Query("count(up == 0) or 0 * count(up)"),
        limits=((1, "red"),),
    )


def fullest() -> Panel:
    """Show how full the fullest queue is."""
    return charts.number(
        "Fullest queue",
        "How full the fullest sending queue is. Red from 50 %, where the alert OtelLlmCollectorQueue starts: a store "
        "is not accepting what is sent. A full queue drops data.",
        "percentunit",
        Query(f"max({_filled()})"),
        limits=((0.1, "orange"), (0.5, "red")),
    )


def series_now() -> Panel:
    """Show how much of the series budget is used."""
    return charts.number(
        "Series budget used",
        "Series of language models in Prometheus as a share of the budget in rules/slo.yaml. Above 100 %, the alert "
        "OtelLlmSeriesBudget fires.",
        "percentunit",
        Query(f"{_SERIES} / scalar({_BUDGET})"),
        limits=((0.8, "orange"), (1, "red")),
    )


# -- queues, series ------------------------------------------------------------------------------------------------


def queue() -> Panel:
    """Show how full each queue is."""
    return charts.lines(
        "Queue in use",
        "Share of each exporter's queue in use. Queues are on disk: their contents survive a restart of the Collector.",
        "percentunit",
        Query(_filled(), legend("exporter", "data_type", INSTANCE)),
        limits=((0.5, "red"),),
        top=1,
    )


def waiting() -> Panel:
    """Show how much each queue holds."""
    return charts.lines(
        "Waiting to be sent",
        "Requests to a store that wait in each exporter's queue. A queue grows while its store is unavailable, and "
        "empties afterwards.",
        "none",
        Query(f"{QUEUE_SIZE}{{{CHOSEN_COLLECTOR}}}", legend("exporter", "data_type", INSTANCE)),
    )


def series_budget() -> Panel:
    """Show how many series there are, and the budget."""
    return charts.lines(
        "Series of language models",
        "Series whose names begin with gen_ai or otel_llm, and the budget in rules/slo.yaml. docs/sizing.md says how "
        "many series each part takes.",
        "none",
        Query(_SERIES, "series"),
        Query(_BUDGET, "budget"),
        styles={"budget": charts.DASHED},
    )


def by_job() -> Panel:
    """Show which services the series come from."""
    return charts.lines(
        "Series by service",
        "Series whose names begin with gen_ai or otel_llm, by job. If the series of a service grow with the number "
        "of its users, its metrics have a label for persons or requests.",
        "none",
        Query(recorded_series("series:by_job"), legend(JOB)),
        stacked=True,
    )


# -- scrapes, process ----------------------------------------------------------------------------------------------


def answering() -> Panel:
    """Show which targets answer."""
    return charts.states(
        "Targets that answer",
        "Whether the Collector could scrape each target: engines, gateways and itself.",
        Query("up", legend(JOB, INSTANCE)),
        words={"0": ("does not answer", "red"), "1": ("answers", "green")},
    )


def samples() -> Panel:
    """Show how large scrapes are."""
    return charts.lines(
        "Samples per scrape",
        "Samples kept from each scrape. Above ENGINE_SAMPLE_LIMIT, 5000 unless set otherwise, the whole scrape of an "
        "engine is refused.",
        "none",
        Query("scrape_samples_post_metric_relabeling", legend(JOB, INSTANCE)),
    )


def memory() -> Panel:
    """Show how much memory the Collector uses."""
    return charts.lines(
        "Memory",
        "Resident memory of the Collector. It starts to refuse data at COLLECTOR_MEMORY_MIB minus "
        "COLLECTOR_MEMORY_SPIKE_MIB.",
        "bytes",
        Query(select(MEMORY, CHOSEN_COLLECTOR), legend(INSTANCE)),
    )


def processor() -> Panel:
    """Show how much processor time the Collector uses."""
    return charts.lines(
        "Processor time",
        "Processor cores that each Collector uses, from its own counter of seconds.",
        "none",
        Query(
            f"sum by ({INSTANCE}) (rate({select(CPU, CHOSEN_COLLECTOR)}[{INTERVAL}]))",
            legend(INSTANCE),
        ),
    )


def _filled() -> str:
    return f"{QUEUE_SIZE}{{{CHOSEN_COLLECTOR}}} / ({QUEUE_CAPACITY}{{{CHOSEN_COLLECTOR}}} > 0)"

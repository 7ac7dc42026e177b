"""Board 5: whether what the other boards show has arrived: the Collector, its queues, and how many series there are."""

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
        "Whether the numbers of the other boards have all arrived: what the Collector takes, refuses, keeps in its "
        "queues and sends on, what it cannot scrape, and how many series all this is.",
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
    """How many Collectors report."""
    return charts.number(
        "Collectors",
        "Collectors that report about themselves. They send their own telemetry with the rest: one that is gone, or "
        "whose store takes nothing, is missing here.",
        "none",
        Query(f"count({select(UPTIME, CHOSEN_COLLECTOR)}) or vector(0)"),
    )


def missing() -> Panel:
    """How many targets do not answer."""
    return charts.number(
        "Targets that do not answer",
        "Engines, and Collectors, that a Collector cannot scrape: what they would say is missing from every board.",
        "none",
        Query("count(up == 0) or 0 * count(up)"),
        limits=((1, "red"),),
    )


def fullest() -> Panel:
    """How full the fullest queue is."""
    return charts.number(
        "Fullest queue",
        "Share of a sending queue in use, the fullest. Red from 50 %, where the alert OtelLlmCollectorQueue begins: a "
        "store does not take what is sent. Full queues drop.",
        "percentunit",
        Query(f"max({_filled()})"),
        limits=((0.1, "orange"), (0.5, "red")),
    )


def series_now() -> Panel:
    """How much of the series budget is used."""
    return charts.number(
        "Series budget used",
        "Series of language models in Prometheus over the budget of rules/slo.yaml. Above 100 % the alert "
        "OtelLlmSeriesBudget fires.",
        "percentunit",
        Query(f"{_SERIES} / scalar({_BUDGET})"),
        limits=((0.8, "orange"), (1, "red")),
    )


# -- queues, series ------------------------------------------------------------------------------------------------


def queue() -> Panel:
    """How full each queue is."""
    return charts.lines(
        "Queue in use",
        "Share of each exporter's queue in use. Queues are on disk: what is in them survives the Collector.",
        "percentunit",
        Query(_filled(), legend("exporter", "data_type", INSTANCE)),
        limits=((0.5, "red"),),
        top=1,
    )


def waiting() -> Panel:
    """How much each queue holds."""
    return charts.lines(
        "Waiting to be sent",
        "Requests to a store that wait in each exporter's queue. It grows while a store is away and empties after.",
        "none",
        Query(f"{QUEUE_SIZE}{{{CHOSEN_COLLECTOR}}}", legend("exporter", "data_type", INSTANCE)),
    )


def series_budget() -> Panel:
    """How many series there are."""
    return charts.lines(
        "Series of language models",
        "Series whose names begin with gen_ai or otel_llm, and the budget of rules/slo.yaml. docs/sizing.md says what "
        "makes how many.",
        "none",
        Query(_SERIES, "series"),
        Query(_BUDGET, "budget"),
        styles={"budget": charts.DASHED},
    )


def by_job() -> Panel:
    """Who makes the series."""
    return charts.lines(
        "Series by service",
        "Who makes them: series whose names begin with gen_ai or otel_llm, by job. A service that grows with its users "
        "has a label of persons or requests on its metrics.",
        "none",
        Query(recorded_series("series:by_job"), legend(JOB)),
        stacked=True,
    )


# -- scrapes, process ----------------------------------------------------------------------------------------------


def answering() -> Panel:
    """Which targets answer."""
    return charts.states(
        "Targets that answer",
        "Whether the Collector could scrape each target: engines, gateways and itself.",
        Query("up", legend(JOB, INSTANCE)),
        words={"0": ("does not answer", "red"), "1": ("answers", "green")},
    )


def samples() -> Panel:
    """How large scrapes are."""
    return charts.lines(
        "Samples per scrape",
        "Samples of each scrape that are kept. At ENGINE_SAMPLE_LIMIT, 5000 unless set otherwise, the whole scrape of "
        "an engine is refused.",
        "none",
        Query("scrape_samples_post_metric_relabeling", legend(JOB, INSTANCE)),
    )


def memory() -> Panel:
    """How much memory the Collector has."""
    return charts.lines(
        "Memory",
        "Resident memory of the Collector. It refuses from COLLECTOR_MEMORY_MIB less COLLECTOR_MEMORY_SPIKE_MIB on.",
        "bytes",
        Query(select(MEMORY, CHOSEN_COLLECTOR), legend(INSTANCE)),
    )


def processor() -> Panel:
    """How much processor time the Collector takes."""
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

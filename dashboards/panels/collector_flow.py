"""Panels of the data that passes through the Collector, and of the data that is refused or lost."""

from typing import Final

from otel_llm_collector.vocabulary.collector_self_metrics import counter_pattern, select
from otel_llm_dashboards.drawing import charts
from otel_llm_dashboards.drawing.panel import Panel, Query
from otel_llm_dashboards.queries.labels import INSTANCE, INTERVAL, legend

__all__ = ["CHOSEN_COLLECTOR", "lost", "lost_now", "received", "refused", "refused_now", "sent"]

CHOSEN_COLLECTOR: Final = f'{INSTANCE}=~"$collector"'
_SIGNALS: Final = {"metric_points": "metric points", "spans": "spans"}


def refused_now() -> Panel:
    """Show what receivers are refusing."""
    return charts.number(
        "Refused",
        "Metric points and spans per second that receivers refused, as they do when the memory limiter finds memory "
        "short. Senders retry for a while.",
        "cps",
        *(Query(f"sum({_rate(f'receiver_refused_{signal}')})", text) for signal, text in _SIGNALS.items()),
        limits=((0.001, "red"),),
    )


def lost_now() -> Panel:
    """Show what exporters are losing."""
    return charts.number(
        "Lost",
        "Metric points and spans per second that a store rejected permanently. They are lost.",
        "cps",
        *(
            Query(
                f"sum({_rate(f'exporter_send_failed_{signal}')}) or 0 * sum({_rate(f'exporter_sent_{signal}')})", text
            )
            for signal, text in _SIGNALS.items()
        ),
        limits=((0.001, "red"),),
    )


def received() -> Panel:
    """Show what receivers accept over time."""
    return charts.lines(
        "Received per second",
        "Metric points and spans per second that receivers accepted, from the Collector's own counters.",
        "cps",
        *(_by("receiver", f"receiver_accepted_{signal}", text) for signal, text in _SIGNALS.items()),
    )


def sent() -> Panel:
    """Show what exporters send over time."""
    return charts.lines(
        "Sent per second",
        "Metric points and spans per second that stores accepted, from the Collector's own counters. If this stays "
        "below what is received, look at the queues.",
        "cps",
        *(_by("exporter", f"exporter_sent_{signal}", text) for signal, text in _SIGNALS.items()),
    )


def refused() -> Panel:
    """Show what receivers refused or failed to process over time."""
    return charts.lines(
        "Refused on the way in",
        "Metric points and spans per second that receivers refused or failed to process: memory is short, or the "
        "data was malformed. A scrape of an engine with more series than ENGINE_SAMPLE_LIMIT is refused as a whole.",
        "cps",
        *(
            _by("receiver", f"receiver_{how}_{signal}", f"{text} {how}")
            for how in ("refused", "failed")
            for signal, text in _SIGNALS.items()
        ),
        limits=((0.001, "red"),),
    )


def lost() -> Panel:
    """Show what exporters could not deliver over time."""
    return charts.lines(
        "Lost on the way out",
        "Metric points and spans per second that a store rejected permanently (send) or that did not fit into a "
        "queue (enqueue). The Collector has these counters only after a first failure; until then this shows 0.",
        "cps",
        *(_lost(how, signal, text) for how in ("send", "enqueue") for signal, text in _SIGNALS.items()),
        limits=((0.001, "red"),),
    )


def _rate(what: str) -> str:
    """Return the rate of one counter. Two in one pattern would lose their names and become duplicate series."""
    return f"rate({select(counter_pattern(what), CHOSEN_COLLECTOR)}[{INTERVAL}])"


def _by(label: str, what: str, text: str) -> Query:
    return Query(f"sum by ({label}, {INSTANCE}) ({_rate(what)})", f"{text} {legend(label, INSTANCE)}")


def _lost(how: str, signal: str, text: str) -> Query:
    found = _by("exporter", f"exporter_{how}_failed_{signal}", f"{text} {how}")
    return Query(f"{found.expr}\nor 0 * {_by('exporter', f'exporter_sent_{signal}', '').expr}", found.legend)

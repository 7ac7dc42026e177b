"""What the Collector says about itself, by the names that it has in Prometheus.

Releases differ in whether a counter ends in `_total` and whether a unit is in the name; a pattern takes them all.
"""

from typing import Final

__all__ = ["CPU", "MEMORY", "QUEUE_CAPACITY", "QUEUE_SIZE", "UPTIME", "counted", "pattern"]

QUEUE_SIZE: Final = "otelcol_exporter_queue_size"
QUEUE_CAPACITY: Final = "otelcol_exporter_queue_capacity"
MEMORY: Final = "otelcol_process_memory_rss(_bytes)?"
CPU: Final = "otelcol_process_cpu_seconds(_total)?"
UPTIME: Final = "otelcol_process_uptime(_seconds)?(_total)?"


def counted(what: str) -> str:
    """Return the pattern of a counter, for example `receiver_refused_spans`."""
    return f"otelcol_{what}(_total)?"


def pattern(name: str, *matchers: str) -> str:
    """Return a selector of the series whose whole name a pattern matches."""
    return "{" + ", ".join((f'__name__=~"{name}"', *matchers)) + "}"

"""What the Collector reports about itself, by the names these metrics have in Prometheus.

Releases differ in whether a counter ends in `_total` and whether a unit is part of the name; these patterns match all.
"""

from typing import Final

__all__ = ["CPU", "MEMORY", "QUEUE_CAPACITY", "QUEUE_SIZE", "UPTIME", "counter_pattern", "select"]

QUEUE_SIZE: Final = "otelcol_exporter_queue_size"
QUEUE_CAPACITY: Final = "otelcol_exporter_queue_capacity"
MEMORY: Final = "otelcol_process_memory_rss(_bytes)?"
CPU: Final = "otelcol_process_cpu_seconds(_total)?"
UPTIME: Final = "otelcol_process_uptime(_seconds)?(_total)?"


def counter_pattern(name: str) -> str:
    """Return the pattern of a counter, for example of `receiver_refused_spans`."""
    return f"otelcol_{name}(_total)?"


def select(pattern: str, *matchers: str) -> str:
    """Return a selector of the series whose whole name matches a pattern."""
    return "{" + ", ".join((f'__name__=~"{pattern}"', *matchers)) + "}"

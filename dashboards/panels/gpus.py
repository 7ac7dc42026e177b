"""Panels of the GPUs beside the engines, by the conventions for hardware: a DCGM exporter tells them."""

from typing import Final

from otel_llm import conventions
from otel_llm_collector.vocabulary.prometheus_names import label_name, series_for
from otel_llm_dashboards.drawing import charts
from otel_llm_dashboards.drawing.panel import Panel, Query
from otel_llm_dashboards.queries.labels import CLUSTER, ENVIRONMENT, INSTANCE, INTERVAL, legend, selection
from otel_llm_dashboards.queries.recorded import recorded_series

__all__ = ["energy", "memory", "power", "temperature", "utilization"]

_GPU: Final = (INSTANCE, label_name(conventions.GPU_ID))
_BY: Final = ", ".join(_GPU)
_PLACE: Final = (ENVIRONMENT, CLUSTER)
_HERE: Final = selection(f'{label_name(conventions.HARDWARE_TYPE)}="gpu"', by=_PLACE)


def utilization() -> Panel:
    """Show how busy each GPU is."""
    return charts.lines(
        "GPU utilisation",
        "Share of time in which anything ran on each GPU. 100 % does not mean that no more would fit: an engine that "
        "decodes for one user is there too.",
        "percentunit",
        Query(f"{series_for('gpu_utilization')}{_HERE}", legend(*_GPU)),
        top=1,
    )


def memory() -> Panel:
    """Show how full each GPU's memory is."""
    used, free, limit = (f"{series_for(f'gpu_memory_{what}')}{_HERE}" for what in ("usage", "free", "limit"))
    size = f"(max by ({_BY}) ({limit}) or max by ({_BY}) ({used}) + max by ({_BY}) ({free}))"
    return charts.lines(
        "GPU memory in use",
        "Share of each GPU's memory in use. Engines take theirs when they start and keep it: how full it is of "
        "requests is the key-value cache, above.",
        "percentunit",
        Query(f"max by ({_BY}) ({used}) / {size}", legend(*_GPU)),
        top=1,
    )


def power() -> Panel:
    """Show the power that each GPU takes."""
    return charts.lines(
        "GPU power",
        "Power that each GPU takes, from its own meter. A GPU at its limit of power works more slowly.",
        "watt",
        Query(f"{series_for('gpu_power')}{_HERE}", legend(*_GPU)),
    )


def temperature() -> Panel:
    """Show how hot each GPU is."""
    return charts.lines(
        "GPU temperature",
        "Temperature of each GPU. Near its limit a GPU works more slowly.",
        "celsius",
        Query(f"{series_for('gpu_temperature')}{_HERE}", legend(*_GPU)),
    )


def energy() -> Panel:
    """Show the energy for each generated token."""
    joules = f"sum(rate({series_for('gpu_energy')}{_HERE}[{INTERVAL}]))"
    tokens = f"sum({recorded_series('generation_tokens:rate5m')}{selection(by=_PLACE)})"
    return charts.lines(
        "Energy for each generated token",
        "What all GPUs took, divided by the tokens that all engines generated, over 5 minutes. Prompts are in it, and "
        "so is what GPUs take that no engine uses.",
        "joule",
        Query(f"{joules} / ({tokens} > 0)", "all engines"),
    )

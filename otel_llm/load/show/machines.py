"""The lines of a printed report about the machines of a run that was shared."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape

from otel_llm.load.figures.machines import label_of

__all__ = ["machine_lines"]


def machine_lines(machines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each machine: what it did, whether it was the limit, and how far its clock is from ours."""
    for machine in machines:
        requests, client = machine["requests"], machine["client"]
        limit = "[bold red]the limit[/]" if client["saturated"] else "[green]not the limit[/]"
        parts = [f"{requests['sent']:,} requests", f"{client['reads']:,} packets", limit]
        if client["receive_lag"]:
            parts.append(f"receive lag p99 {client['receive_lag']['p99'] * 1e3:.2f} ms")
        if clock := machine["clock"]:
            parts.append(f"clock {clock['offset'] * 1e3:+.2f} ms ± {clock['bound'] * 1e3:.2f} ms")
        yield f"machine  {escape(label_of(machine))}: {', '.join(parts)}"

"""How the client itself fared: what a verdict on its own error rests on, beside the records."""

from dataclasses import dataclass, field

__all__ = ["Health"]


@dataclass(slots=True)
class Health:
    """Filled while a run goes on, complete when every worker has ended."""

    workers: int
    cpu_s: float = 0.0
    waited_s: float = 0.0
    """How long workers were ready to run and the machine gave them no core; 0 where it does not say."""
    clocks: set[str] = field(default_factory=set)
    clock_steps: int = 0
    loop_lag_ns: list[int] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    """One line per worker that went away without its last word."""
    unreachable: tuple[str, str] | None = None
    """(kind, message) when not one connection could be opened: then no request was sent."""

"""What workers report about themselves: with the records, the basis of the verdict on the client's own error."""

from dataclasses import dataclass, field

__all__ = ["Health"]


@dataclass(slots=True)
class Health:
    """Filled while a run goes on, complete when every worker has ended."""

    workers: int
    cpu_s: float = 0.0
    waited_s: float = 0.0
    """How long workers waited for a core; 0 where the system does not say."""
    clocks: set[str] = field(default_factory=set)
    clock_steps: int = 0
    loop_lag_ns: list[int] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    """One line for each worker that died without its last message."""
    unreachable: tuple[str, str] | None = None
    """(kind, message) when no connection at all could be opened: then no request was sent."""

    def add(self, other: "Health") -> None:
        """Add what other workers report, of another machine."""
        self.workers += other.workers
        self.cpu_s += other.cpu_s
        self.waited_s += other.waited_s
        self.clocks |= other.clocks
        self.clock_steps += other.clock_steps
        self.loop_lag_ns += other.loop_lag_ns
        self.died += other.died
        self.unreachable = self.unreachable or other.unreachable

"""When a run ends before every planned request was sent, and for which reason."""

from collections.abc import Callable
from typing import Final, Literal, Protocol

from otel_llm.load.figures.stats import Stats
from otel_llm.load.plan.plan import LoadPlan

__all__ = ["EndedBy", "Stopping"]

EndedBy = Literal["requests", "duration", "max_errors", "max_tokens_total", "certain", "interrupted"]

_EARLY: Final = frozenset(("max_errors", "max_tokens_total", "certain", "interrupted"))


class Progress(Protocol):
    """How far a run has come, and the way to let it begin nothing more."""

    @property
    def sent(self) -> int: ...

    @property
    def elapsed_s(self) -> float: ...

    def drain(self) -> None: ...


class Stopping:
    """Called about ten times a second: returns whether the workers have to stop at once. `ended_by` is the reason.

    A run whose time is over, or whose tokens are spent, begins nothing more but waits for requests in flight.
    """

    def __init__(
        self,
        plan: LoadPlan,
        stats: Stats,
        progress: Progress,
        interrupted: Callable[[], bool],
        certain: Callable[[], str | None] = lambda: None,
    ) -> None:
        """certain: says that the SLO `holds`, or `breaks`, as soon as that is certain"""
        self._plan, self._stats, self._progress, self._interrupted = plan, stats, progress, interrupted
        self._certain = certain
        self.ended_by: EndedBy = "requests"
        self._elapsed_s = 0.0

    def __call__(self) -> bool:
        plan, stats = self._plan, self._stats
        if self._interrupted():
            return self._end("interrupted")
        if plan.max_errors is not None and stats.failed >= plan.max_errors:
            return self._end("max_errors")
        if plan.max_tokens is not None and stats.all_tokens >= plan.max_tokens and self.ended_by == "requests":
            self._end("max_tokens_total")
            self._progress.drain()
        if self.ended_by == "requests" and (verdict := self._certain()) is not None:
            self._end("certain")
            if verdict == "breaks":  # what is under way may take long, and changes nothing
                return True
            self._progress.drain()
        if plan.duration_s is None or self._progress.elapsed_s < plan.duration_s:
            return False
        if self.ended_by == "requests" and not (plan.open_loop and self._progress.sent >= plan.planned):
            self._end("duration")
        return self._progress.elapsed_s >= plan.duration_s + plan.grace_s

    @property
    def early(self) -> bool:
        """Whether it ended before its time, so that requests that were planned never had their moment."""
        return self.ended_by in _EARLY

    def due(self) -> int:
        """Return how many planned requests had their moment before the run ended.

        A turn of a conversation has it when the answer before it has ended: what was not sent after that is not due.
        """
        plan, stats = self._plan, self._stats
        if self.early:
            known = plan.open_loop and plan.conversations is None
            return plan.due_by(round(self._elapsed_s * 1e9)) if known else stats.ended
        cut = self.ended_by == "duration" and not plan.open_loop
        return stats.ended if cut or plan.endless else plan.planned - stats.skipped

    def _end(self, by: EndedBy) -> bool:
        if self.ended_by != by:
            self.ended_by, self._elapsed_s = by, self._progress.elapsed_s
        return True

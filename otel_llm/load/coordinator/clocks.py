"""How the clocks of another machine compare with ours, measured over the connection on which its workers are heard.

As NTP does it: we read our clock, ask for the other's, and read ours again. Whenever the other read its own, it was
between the two, so its clock is known within half of the time that the exchange took; of several exchanges the shortest
says most. No duration in a report depends on it: each is of one machine. What does is the start, which all machines
are to keep together, and the course of the run, in which their requests stand side by side.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from otel_llm.clock import SYSTEM, Clock

__all__ = ["AskClock", "HostClock", "Reading", "compare_clocks"]

AskClock = Callable[[], tuple[int, int]]
"""Returns what another machine's clocks read: monotonic ns, and Unix time in ns."""

_EXCHANGES: Final = 16


class Reading(NamedTuple):
    """How much more another machine's clocks read than ours, ns, and how far off either number may be."""

    monotonic_ns: int
    wall_ns: int
    bound_ns: int


def compare_clocks(ask: AskClock, clock: Clock = SYSTEM, exchanges: int = _EXCHANGES) -> Reading:
    """Return what the shortest of several exchanges says."""
    found = []
    for _ in range(exchanges):
        before = clock.now_ns()
        monotonic, wall = ask()
        after = clock.now_ns()
        middle = (before + after) // 2
        found.append(Reading(monotonic - middle, wall - clock.wall_ns(middle), (after - before + 1) // 2))
    return min(found, key=lambda reading: reading.bound_ns)


class HostClock:
    """The clocks of one machine, compared with ours before a run and after it."""

    def __init__(self, ask: AskClock, clock: Clock = SYSTEM) -> None:
        self._ask, self._clock = ask, clock
        self._first = compare_clocks(ask, clock)

    @property
    def ahead_ns(self) -> int:
        """How much more its monotonic clock reads than ours."""
        return self._first.monotonic_ns

    def report(self) -> dict[str, Any]:
        """Return the `clock` of a machine in a report, in seconds; compares once more, if the machine still answers.

        drift: by how much the difference of the monotonic clocks has changed since the start, None where nobody knows
        """
        try:
            drift = (compare_clocks(self._ask, self._clock).monotonic_ns - self._first.monotonic_ns) / 1e9
        except Exception:  # whatever a lost machine raises
            drift = None
        return {"offset": self._first.wall_ns / 1e9, "bound": self._first.bound_ns / 1e9, "drift": drift}

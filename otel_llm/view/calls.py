"""Calls of models as columns: what figures, heatmaps and lists are made of, wherever a call was read from."""

import threading
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLIENT", "CUT_OFF", "OK", "OTHER", "SERVER", "Call", "Calls", "Group", "Held", "Rows"]

CLIENT, SERVER, OTHER = "client", "server", "other"
"""Who saw a call: its caller, the server or engine that answered it; or it is a span of something else."""
OK: Final = 0
CUT_OFF: Final = -1
"""State of a call that its caller ended; a failed one has the number of its error, from 1."""

_MOST_GROUPS: Final = 300
_MOST_ERRORS: Final = 300

Rows = NDArray[Any]
_COLUMNS: Final = np.dtype(
    [
        ("start_ns", np.int64),
        ("duration", np.float64),
        ("first_token", np.float64),
        ("per_token", np.float64),
        ("queue", np.float64),
        ("tokens", np.float64),
        ("trace", np.uint64),
        ("key", np.int64),
        ("group", np.int32),
        ("state", np.int32),
    ]
)
"""Seconds, NaN where not known. trace: the lower half of its id, 0 for none; key: where the call can be read again."""


class Group(NamedTuple):
    """What calls have in common that are shown as one line; empty where nobody said.

    seen_by:   CLIENT, SERVER or OTHER
    run:       id of the load run that they are part of
    """

    model: str
    service: str
    operation: str
    seen_by: str
    run: str


class Call(NamedTuple):
    """A call. Times are seconds; None where not known. error: empty when it succeeded."""

    group: Group
    start_ns: int
    duration: float
    first_token: float | None
    per_token: float | None
    queue: float | None
    tokens: float | None
    trace: int
    error: str
    cut_off: bool = False


class Held(NamedTuple):
    """A look at the calls that are held. dropped: how many older ones are not held any more."""

    rows: Rows
    groups: list[Group]
    errors: list[str]
    dropped: int

    def error_of(self, row: Any) -> str:
        """Return what went wrong with a call, empty when nothing did."""
        return self.errors[row["state"]] if row["state"] > 0 else ""


class Calls:
    """The latest calls, in the order in which they came. Every method may be called from any thread."""

    def __init__(self, most: int = 200_000) -> None:
        self._lock = threading.Lock()
        self._most = most
        self._rows = np.zeros(min(most, 1024), _COLUMNS)
        self._count = self._dropped = 0
        self._groups: dict[Group, int] = {}
        self._errors: dict[str, int] = {"": OK}

    def add(self, call: Call, key: int) -> None:
        """Add a call; key: where it can be read again."""
        with self._lock:
            if self._count == len(self._rows):
                self._make_room()
            self._rows[self._count] = (
                min(call.start_ns, 2**63 - 1),
                call.duration,
                *(np.nan if value is None else value for value in (call.first_token, call.per_token, call.queue)),
                np.nan if call.tokens is None else call.tokens,
                call.trace & (2**64 - 1),
                key,
                self._number_of(call.group),
                CUT_OFF if call.cut_off else self._state_of(call.error),
            )
            self._count += 1

    def look(self) -> Held:
        """Return what is held now. The rows do not change any more, and must not be written to."""
        with self._lock:
            return Held(self._rows[: self._count], list(self._groups), list(self._errors), self._dropped)

    def _make_room(self) -> None:
        """Take a larger array, or leave the older half of the calls."""
        full = self._count >= self._most
        left = self._rows[self._count // 2 :] if full else self._rows
        self._dropped += self._count - len(left)
        self._rows = np.zeros(min(max(2 * self._count, 1024), self._most), _COLUMNS)
        self._count = len(left)
        self._rows[: self._count] = left

    def _number_of(self, group: Group) -> int:
        if group not in self._groups and len(self._groups) >= _MOST_GROUPS:
            group = Group("(others)", "", "", group.seen_by, "")
        return self._groups.setdefault(group, len(self._groups))

    def _state_of(self, error: str) -> int:
        if error not in self._errors and len(self._errors) >= _MOST_ERRORS:
            error = "(others)"
        return self._errors.setdefault(error, len(self._errors))

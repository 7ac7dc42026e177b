"""The cells of the fault matrix, and what each of them is to come to.

A row of the table is a fault: its moments, its loops, the exit code, and how many rows there have to be.
"""

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["CELLS", "LOOPS", "MOMENTS", "Cell", "Rows"]

Rows = Literal["all", "fewer"]
"""Rows in the run file: as many as requests were sent, or fewer, where the file has no room."""

LOOPS: Final = {
    "closed": ["--parallel", "2"],
    "open": ["--rate", "20", "--arrivals", "poisson"],
    "two workers": ["--parallel", "4", "--workers", "2"],
    "duration": ["--parallel", "2"],
}
"""Options of each kind of loop; how long it lasts is the moment's."""

MOMENTS: Final = {
    "connecting": "no connection is open yet",
    "first token": "requests are sent, no token has come",
    "middle": "a token has come, others are to follow",
    "draining": "the last requests are sent, their answers are not whole",
    "exporting": "all answers are whole, telemetry is sent",
}

_ALL: Final = tuple(LOOPS)
_TALK: Final = ("first token", "middle", "draining")


@dataclass(frozen=True, slots=True)
class Cell:
    """A fault at a moment in a loop, and the exit code and rows that it is to come to. A report is always expected."""

    fault: str
    moment: str
    loop: str
    code: int
    rows: Rows = "all"

    def __str__(self) -> str:
        return f"{self.fault}, {self.moment}, {self.loop}"


_TABLE: Final[list[tuple[str, tuple[str, ...], tuple[str, ...], int, Rows]]] = [
    ("SIGINT", tuple(MOMENTS), _ALL, 130, "all"),
    ("SIGINT twice", tuple(MOMENTS), _ALL, 130, "all"),
    ("SIGTERM", tuple(MOMENTS), _ALL, 130, "all"),
    ("SIGHUP", tuple(MOMENTS), _ALL, 130, "all"),
    ("a worker killed", _TALK, ("closed", "two workers"), 1, "all"),
    ("a worker stopped, then SIGTERM", _TALK, ("closed", "two workers"), 130, "all"),
    ("server gone", ("connecting",), _ALL, 1, "all"),
    ("server gone", ("middle",), _ALL, 1, "all"),
    ("server stalls", ("connecting",), _ALL, 1, "all"),
    ("server stalls", ("first token", "middle"), _ALL, 1, "all"),
    ("server resets", ("first token", "middle"), _ALL, 1, "all"),
    ("server answers 500", ("first token",), _ALL, 1, "all"),
    ("server sends garbage", ("first token", "middle"), _ALL, 1, "all"),
    ("no OTLP receiver", ("exporting",), _ALL, 0, "all"),
    ("OTLP receiver stalls", ("exporting",), _ALL, 0, "all"),
    ("run file locked for 1 s", ("middle", "draining"), _ALL, 0, "all"),
    ("disk full", ("middle", "draining"), _ALL, 1, "fewer"),
]

CELLS: Final = tuple(
    Cell(fault, moment, loop, code, rows)
    for fault, moments, loops, code, rows in _TABLE
    for moment in moments
    for loop in loops
)

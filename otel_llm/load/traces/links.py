"""Which rows of a trace wait for which: the answers that had to be there before a request could be asked."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain, compress, islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["LinkColumns", "Links", "RowLinks", "parts_of"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Links:
    """Of each of n rows, the rows that it waits for.

    rows:    their numbers, of all rows one after another; row i waits for those from starts[i] to starts[i + 1]
    starts:  int64[n + 1]
    wait_ns: int64[n], how long after the last of those answers it was sent; None where the trace does not say
    agents:  int64[n], a number of who asked; None where the trace does not tell several apart
    """

    rows: Ints
    starts: Ints
    wait_ns: Ints | None = None
    agents: Ints | None = None

    def of(self, row: int) -> Sequence[int]:
        """Return the rows that a row waits for."""
        found: list[int] = self.rows[self.starts[row] : self.starts[row + 1]].tolist()
        return found

    def take(self, rows: Ints) -> "Links":
        """Return the links among rows of these numbers, in this order. One to a row that is not taken is dropped."""
        number = np.full(len(self.starts) - 1, -1, np.int64)
        number[rows] = np.arange(len(rows))
        which, starts = parts_of(self.starts, rows)
        found = number[self.rows[which]]
        kept = found >= 0
        starts = np.append(0, np.cumsum(kept))[starts]
        wait_ns, agents = (None if column is None else column[rows] for column in (self.wait_ns, self.agents))
        return Links(found[kept], starts, wait_ns, agents)

    def faster(self, factor: float) -> "Links":
        """Return links whose waiting is divided by a factor."""
        return self if self.wait_ns is None else replace(self, wait_ns=np.rint(self.wait_ns / factor).astype(np.int64))

    def before_what_they_wait_for(self) -> Ints:
        """Return the rows that wait for themselves or for a row after them, of which no real trace has one."""
        waiting = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        return waiting[self.rows >= waiting]

    def roots(self) -> Ints:
        """Return, for each row, the first of the rows that it goes back to: itself where it waits for none.

        For rows that wait for rows before them. Of several, the first counts.
        """
        found = np.arange(len(self.starts) - 1)
        waits = np.diff(self.starts) > 0
        found[waits] = self.rows[self.starts[:-1][waits]]
        while (further := found[found]).tobytes() != found.tobytes():
            found = further
        return found


class RowLinks(NamedTuple):
    """What some rows wait for, as columns of one length; all are empty where no row waits for another.

    keys:    the number by which other rows know each
    after:   the keys of rows whose answers it waits for. One that the trace does not have is not waited for
    wait_ns: how long after the last of these answers it was sent; empty where the trace does not say
    agents:  a number of who asked; empty where the trace does not tell several apart
    """

    keys: Sequence[int] = ()
    after: Sequence[Sequence[int]] = ()
    wait_ns: Sequence[int] = ()
    agents: Sequence[int] = ()

    def only(self, kept: Sequence[bool]) -> "RowLinks":
        """Return those of the rows that are kept."""
        keys, after, wait_ns, agents = self
        return RowLinks(
            list(compress(keys, kept)),
            list(compress(after, kept)),
            list(compress(wait_ns, kept)),
            list(compress(agents, kept)),
        )


class LinkColumns:
    """Takes what each row of a trace waits for, by the numbers by which the trace knows its rows."""

    def __init__(self) -> None:
        self._keys, self._after, self._starts = array("q"), array("q"), array("q", (0,))
        self._wait_ns, self._agents = array("q"), array("q")

    def add(self, links: RowLinks) -> None:
        """Take rows. Raises OverflowError for a number of more than 64 bits, and takes none then."""
        keys, after = array("q", links.keys), array("q", chain.from_iterable(links.after))
        self._starts.extend(islice(accumulate(map(len, links.after), initial=len(self._after)), 1, None))
        self._keys.extend(keys)
        self._after.extend(after)
        self._wait_ns.extend(links.wait_ns)
        self._agents.extend(links.agents)

    def links(self) -> Links | None:
        """Return the links between rows in the order in which they came; None where no row had any."""
        if not self._keys:
            return None
        keys, after = _ints(self._keys), _ints(self._after)
        order = np.argsort(keys, kind="stable")
        found = order[np.minimum(np.searchsorted(keys, after, sorter=order), len(keys) - 1)]
        known = keys[found] == after
        starts = np.append(0, np.cumsum(known))[_ints(self._starts)]
        wait_ns, agents = (_ints(column) if column else None for column in (self._wait_ns, self._agents))
        return Links(found[known], starts, wait_ns, agents)


def _ints(column: "array[int]") -> Ints:
    return np.frombuffer(column, np.int64)


def parts_of(starts: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Return (the places of all items of these rows, where each row's begin among them and end).

    starts: where the items of each row begin in a list of all; one more than there are rows
    """
    sizes = np.diff(starts)[rows]
    ends = np.append(0, np.cumsum(sizes))
    # the places of a row's items: from where the row began, counted on
    return np.arange(ends[-1]) + np.repeat(starts[:-1][rows] - ends[:-1], sizes), ends

"""A trace as columns: when each request came, how long it was, and which blocks its prompt began with."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from otel_llm.errors import ConfigError
from otel_llm.load.asked import Asked, Lengths
from otel_llm.load.traces.links import Links, parts_of

__all__ = ["Trace"]

Ints = NDArray[np.int64]
_COMMON: Final = 0.1
"""A block that more of the rows begin with is everybody's (a system prompt), and tells no conversation from another."""


@dataclass(frozen=True, slots=True)
class Trace(Lengths):
    """Rows in the order of their times, as arrays of one length n.

    at_ns:         int64[n], from the first row of the file, ascending
    input_tokens:  int[n]
    output_tokens: int[n], 0 where the trace does not know
    blocks:        ids of all rows' blocks one after another; row i has those from starts[i] to starts[i + 1]
    starts:        int64[n + 1]
    sessions:      int64[n], what belongs together has one number; None where the trace does not say
    links:         what each row waits for; None where the trace does not say
    bodies:        the bodies that were sent, of a trace that was recorded with them
    left_out:      rows of the file that cannot be replayed: nothing was asked, or nothing answered
    timed:         whether the trace says when its requests came; else all of `at_ns` is 0
    """

    at_ns: Ints
    input_tokens: NDArray[Any]
    output_tokens: NDArray[Any]
    blocks: NDArray[Any]
    starts: Ints
    block_tokens: int = 0
    sessions: Ints | None = None
    links: Links | None = None
    bodies: Sequence[bytes] | None = None
    left_out: int = 0
    timed: bool = True

    def __len__(self) -> int:
        return len(self.at_ns)

    def asked(self, index: int) -> Asked:
        blocks = self.blocks[self.starts[index] : self.starts[index + 1]].tolist()
        output = int(self.output_tokens[index]) or None
        return Asked(int(self.input_tokens[index]) or None, output, blocks, self.block_tokens)

    def between(self, from_s: float, to_s: float) -> "Trace":
        """Return the rows of a part, in seconds from the first row; the part's start is its time 0.

        Raises ConfigError when there are none.
        """
        first, last = np.searchsorted(self.at_ns, [from_s * 1e9, to_s * 1e9])
        if first == last:
            ends = self.at_ns[-1] / 1e9
            raise ConfigError(
                f"rows from {from_s:g} s to {to_s:g} s", f"none in a trace of {ends:g} s", "widen --from and --to"
            )
        return replace(self.take(np.arange(first, last)), at_ns=self.at_ns[first:last] - round(from_s * 1e9))

    def sampled(self, share: float, seed: int) -> "Trace":
        """Return about a share of the rows: whole sessions of them, so that what comes in bursts still does.

        Where the trace names no sessions, rows whose prompts begin alike are one. Raises ConfigError when none is left.
        """
        names = self._belonging()
        each, of = np.unique(names, return_inverse=True)
        drawn = [int.from_bytes(blake2b(f"{seed} {name}".encode(), digest_size=7).digest()) for name in each.tolist()]
        chosen = np.nonzero((np.array(drawn) < share * (1 << 56))[of])[0]
        if not len(chosen):
            raise ConfigError(f"a row in a sample of {share:g}", f"none of {len(self):,}", "give a larger --sample")
        return self.take(chosen)

    def in_order(self) -> "Trace":
        """Return the rows in the order of their times."""
        if (np.diff(self.at_ns) >= 0).all():
            return self
        return self.take(np.argsort(self.at_ns, kind="stable"))

    def faster(self, factor: float) -> "Trace":
        """Return the trace with all times divided by a factor."""
        links = None if self.links is None else self.links.faster(factor)
        return replace(self, at_ns=np.rint(self.at_ns / factor).astype(np.int64), links=links)

    def moments(self) -> "array[int]":
        """Return the times as a plan takes them."""
        return array("q", self.at_ns.tobytes())

    def _belonging(self) -> Ints:
        """Return a number for each row, the same for those that belong together."""
        if self.sessions is not None:
            return self.sessions
        alone = -1 - np.arange(len(self), dtype=np.int64)
        if not len(self.blocks):
            return alone
        ids, of, counts = np.unique(self.blocks, return_inverse=True, return_counts=True)
        own = np.nonzero(counts[of] <= max(_COMMON * len(self), 1))[0]
        first = np.append(own, len(self.blocks))[np.searchsorted(own, self.starts[:-1])]
        found = first < self.starts[1:]
        return np.where(found, ids[of[np.minimum(first, len(self.blocks) - 1)]].astype(np.int64), alone)

    def take(self, rows: Ints) -> "Trace":
        """Return the rows of these numbers, in this order."""
        which, starts = parts_of(self.starts, rows)
        return replace(
            self,
            at_ns=self.at_ns[rows],
            input_tokens=self.input_tokens[rows],
            output_tokens=self.output_tokens[rows],
            blocks=self.blocks[which],
            starts=starts,
            sessions=None if self.sessions is None else self.sessions[rows],
            links=None if self.links is None else self.links.take(rows),
            bodies=None if self.bodies is None else [self.bodies[row] for row in rows.tolist()],
        )

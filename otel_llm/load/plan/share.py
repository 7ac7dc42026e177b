"""Who does what of one schedule: the sessions dealt among machines, and those of a machine among its workers."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Final, NamedTuple

from otel_llm.errors import ConfigError

__all__ = ["Shard", "Share", "parse_shard"]

_INDEX: Final = "JOB_COMPLETION_INDEX"
"""The variable in which an Indexed Job of Kubernetes tells each of its pods its number, from 0."""


class Shard(NamedTuple):
    """The part of a run that one of several machines does. which: from 0; of: how many parts"""

    which: int
    of: int

    def __str__(self) -> str:
        return f"{self.which + 1}/{self.of}"


def parse_shard(text: str) -> Shard:
    """Return the shard of K/N, or of index/N, whose K an Indexed Job sets. Raises ConfigError for anything else.

    >>> parse_shard("2/3")
    Shard(which=1, of=3)
    """
    which, _, of = text.partition("/")
    if which == "index":
        if (index := os.environ.get(_INDEX)) is None:
            raise ConfigError(f"{_INDEX} in the environment for --shard {text}", "none", "write --shard K/N")
        which = str(int(index) + 1) if index.isdecimal() else index
    if not (which.isdecimal() and of.isdecimal() and 1 <= int(which) <= int(of)):
        raise ConfigError("--shard K/N with K from 1 to N, or index/N", text)
    return Shard(int(which) - 1, int(of))


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a plan that one worker does.

    Session i is held by slot i modulo `slots`, and slot s belongs to worker s modulo `workers`. So a worker with twice
    the slots has twice the sessions, and any number of workers keeps as many under way as one.

    slots: places of all workers, each for one session under way; None where nothing bounds them
    """

    worker: int
    workers: int
    slots: int | None = None

    @property
    def own_slots(self) -> int:
        """How many slots are this worker's."""
        return len(range(self.worker, self.slots or self.workers, self.workers))

    def owns(self, index: int) -> bool:
        """Return whether session number `index` is this worker's."""
        return index % (self.slots or self.workers) % self.workers == self.worker

    def of(self, total: int) -> int:
        """Return how many of the first `total` sessions are this worker's."""
        rounds, rest = divmod(total, self.slots or self.workers)
        return rounds * self.own_slots + len(range(self.worker, rest, self.workers))

    def indices(self, total: int) -> Iterator[int]:
        """Yield the numbers of this worker's sessions, of the first `total`, ascending."""
        slots = self.slots or self.workers
        numbers = (begin + slot for begin in count(0, slots) for slot in range(self.worker, slots, self.workers))
        return takewhile(lambda number: number < total, numbers)

    def among(self, workers: int) -> "list[Share]":
        """Return this share, dealt among so many workers of its own."""
        return [Share(self.worker + self.workers * own, self.workers * workers, self.slots) for own in range(workers)]

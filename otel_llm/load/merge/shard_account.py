"""What a shard knows of its part of a run that its records do not say: written to its run file, read to merge them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec

from otel_llm.load.asked import Asked
from otel_llm.load.figures.health import Health
from otel_llm.load.figures.stats import Stats
from otel_llm.load.plan.share import Shard

__all__ = ["ShardAccount", "asked_by", "boot_id"]

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class ShardAccount(msgspec.Struct, kw_only=True):
    """
    machine:  the name of its host
    boot:     of the host, since it was started; "" where the system does not say. Those of one boot share a clock
    of:       requests of the whole run, of all shards; None where only the clock ended it
    planned, due, lost, skipped: as `Stats` has them
    start_ns: when the schedule began, on the clock of the records; None where nothing was sent
    level:    whether the same load was asked for all the time
    asked:    (number, lengths) of each request that ended; None where no lengths were asked for
    """

    shard: Shard
    machine: str
    boot: str
    of: int | None
    planned: int
    due: int
    lost: dict[str, int]
    skipped: dict[str, int]
    start_ns: int | None
    level: bool
    health: Health
    asked: list[tuple[int, Asked]] | None = None

    def state(self, stats: Stats) -> None:
        """Add to the statistics of the whole run what no record of this shard says."""
        stats.due += self.due
        for kind, count in self.lost.items():
            stats.lose(kind, count)
        for reason, count in self.skipped.items():
            stats.skip(reason, count)


def asked_by(accounts: Iterable[ShardAccount]) -> Callable[[int], Asked] | None:
    """Return what gives the lengths that a request asked for, of any shard; None where none were asked for."""
    known: dict[int, Asked] = {}
    parts = [account.asked for account in accounts]
    if None in parts:
        return None
    for part in parts:
        known.update(part or ())
    return lambda index: known.get(index, Asked())


def boot_id() -> str:
    """Return the name of the time since this machine was started: its processes have one monotonic clock."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""

"""The run files of the shards of one run, and whether they are that."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.load.merge.shard_account import ShardAccount
from otel_llm.sinks.stored_run import read_account, read_run

__all__ = ["Part", "parts_of"]

_OF_A_MACHINE: Final = frozenset(
    (
        *("shard", "name", "append", "json", "jsonl", "junit", "log_every_n_query", "compat", "debug", "wandb_api_key"),
        *("otlp_endpoint", "otlp_protocol", "histograms", "strict", "workers", "api_key_env", "api_key_file"),
        *("ca", "cert", "key", "proxy", "view", "open", "store"),
    )
)
"""Options in which machines may differ that do the same run."""


class Part(NamedTuple):
    """The latest run of a run file, as a shard. run: its `run` row"""

    path: Path
    run: Mapping[str, Any]
    account: ShardAccount

    @property
    def plan(self) -> dict[str, Any]:
        """What was asked of every shard alike."""
        given: Mapping[str, Any] = self.run["arguments"]
        return {name: value for name, value in given.items() if name not in _OF_A_MACHINE}

    def moved_ns(self, to: "Part") -> int:
        """Return what its clock lacks to that of another part, ns: 0 where both were of one machine."""
        if self.account.boot and self.account.boot == to.account.boot:
            return 0
        return int(self.run["clock_origin"]) - int(to.run["clock_origin"])


def parts_of(paths: Iterable[Path], *, partial: bool = False) -> list[Part]:
    """Return the parts in the order of their shards. Raises ConfigError unless they are one run, and all of it.

    partial: shards may be missing
    """
    parts = sorted(map(_part, paths), key=lambda part: part.account.shard)
    first = parts[0]
    for part in parts[1:]:
        _check_together(first, part)
    which = [part.account.shard.which for part in parts]
    if twice := [number for number, count in Counter(which).items() if count > 1]:
        files = [str(part.path) for part in parts if part.account.shard.which == twice[0]]
        raise ConfigError("each shard once", f"shard {twice[0] + 1} in {' and '.join(files)}", "leave one of them out")
    of = first.account.shard.of
    missing = [str(number + 1) for number in range(of) if number not in which]
    if missing and not partial:
        raise ConfigError(
            f"the run files of all {of} shards", f"none of shard {', '.join(missing)}",
            "add them, or give --partial, which counts what they were to send as failed",
        )  # fmt: skip
    return parts


def _part(path: Path) -> Part:
    run = read_run(path)
    text = read_account(path, run["id"])
    if text is None:
        got = "a run without an end" if run["summary"] is None else "a run that was not shared"
        raise ConfigError("the run file of a shard, whose run has ended", f"{path} ({got})", "see perf --shard")
    try:
        return Part(path, run, msgspec.json.decode(text, type=ShardAccount))
    except msgspec.MsgspecError as error:
        raise ConfigError("the run file of a shard", f"{path} (damaged: {error})") from error


def _check_together(one: Part, other: Part) -> None:
    """Raise ConfigError where two parts are not of one run."""
    if one.account.shard.of != other.account.shard.of:
        raise ConfigError("shards of one run", f"{_named(one)} and {_named(other)}", "merge each run by itself")
    mine, theirs = one.plan, other.plan
    if differ := [name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)]:
        raise ConfigError(
            "shards of one run", f"{one.path} and {other.path}, which differ in {_options(differ)}",
            "every shard is given the same options",
        )  # fmt: skip
    if one.account.of != other.account.of:
        raise ConfigError(
            "shards of one run", f"{one.path} of {one.account.of} and {other.path} of {other.account.of} requests",
            "every machine needs the same prompts",
        )  # fmt: skip


def _named(part: Part) -> str:
    return f"{part.path} (shard {part.account.shard})"


def _options(names: Sequence[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in sorted(names))

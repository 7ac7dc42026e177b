"""One run file of those of all shards: every request on one clock, and the report that one run would have given."""

import heapq
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from otel_llm.errors import ConfigError
from otel_llm.load.figures.gates import judge, parse_gates
from otel_llm.load.figures.health import Health
from otel_llm.load.figures.machines import Machine
from otel_llm.load.figures.run_figures import RunFigures
from otel_llm.load.figures.slo import Slo, parse_term
from otel_llm.load.figures.stats import Stats
from otel_llm.load.merge.parts import Part
from otel_llm.load.merge.shard_account import asked_by
from otel_llm.load.show.report import SCHEMA, flag_notes
from otel_llm.measures import Facts
from otel_llm.record import StreamRecord
from otel_llm.sinks import Ended
from otel_llm.sinks.sqlite import RUN_FILE, RunFile
from otel_llm.sinks.stored_run import read_calls

__all__ = ["Merged", "merge"]

_PART: Final = 1000
_ENDS: Final = ("interrupted", "max_errors", "duration", "requests")
"""Why shards ended, the most telling first: the run ended for that reason."""


class Merged(NamedTuple):
    """What merging gave: the report, its statistics, and the health of all workers."""

    report: Mapping[str, Any]
    stats: Stats
    health: Health


def merge(parts: Sequence[Part], into: Path) -> Merged:
    """Write the run file of a run whose shards these are. Raises ConfigError, and leaves none.

    Requests stand in the order in which they ended, their moments on the clock of the first part.
    """
    RUN_FILE.check_new(into)
    first = parts[0]
    head = _head(parts, into)
    planned = sum(part.account.planned for part in parts) + _missing(parts)
    file = RunFile(into, head, planned, clock_origin=int(first.run["clock_origin"]))
    try:
        merged = _merge(parts, file, head, planned)
    except BaseException:
        file.discard()
        raise
    file.close(merged.report)
    return merged


def _merge(parts: Sequence[Part], file: RunFile, head: Mapping[str, Any], planned: int) -> Merged:
    arguments = head["arguments"]
    terms = [parse_term(text) for text in arguments.get("slo") or ()]
    figures = RunFigures(
        planned,
        asked=asked_by(part.account for part in parts),
        slo=Slo(terms, arguments["slo_attainment"]) if terms else None,
        level=parts[0].account.level,
    )
    machines = [Machine(part.account.machine, part.account.health, str(part.account.shard)) for part in parts]
    calls = heapq.merge(*map(_calls, parts, range(len(parts)), [part.moved_ns(parts[0]) for part in parts]))
    seen: dict[int, Part] = {}
    while batch := list(islice(calls, _PART)):
        for call in batch:
            _check_once(call, parts, seen)
        facts = Facts.of(*(call.record for call in batch))
        met = figures.add(facts)
        for number, machine in enumerate(machines):
            machine.add([fact for fact, call in zip(facts, batch, strict=True) if call.part == number])
        file.take([call.ended(fact, good) for call, fact, good in zip(batch, facts, met, strict=True)])
    health = _account(parts, figures.stats)
    starts = [part.account.start_ns + part.moved_ns(parts[0]) for part in parts if part.account.start_ns is not None]
    report = {"schema": SCHEMA, "run": head, **figures.report(health, min(starts, default=None), machines)}
    report |= _of_all(parts)
    report["gates"] = judge(parse_gates(arguments.get("fail_if") or (), slo=bool(terms)), report)
    report["notes"] = [*_notes(parts), *flag_notes(report)]
    return Merged(report, figures.stats, health)


class _Call(NamedTuple):
    """A request of a part; those that ended first come first."""

    ended_ns: int
    part: int
    place: int
    record: StreamRecord
    request: str | None
    content: str | None

    def ended(self, fact: Facts, met: bool | None) -> Ended:
        body = None if self.request is None else self.request.encode()
        return Ended(fact, body, None if self.content is None else _Kept(self.content), met)


class _Kept(NamedTuple):
    """The events of an answer as they stand, packed, in a run file."""

    text: str

    def events(self) -> list[bytes]:
        raise NotImplementedError("a run file takes the JSON as it is")

    def to_json(self) -> str:
        return self.text


def _calls(part: Part, number: int, by_ns: int) -> Iterator[_Call]:
    for place, (record, request, content) in enumerate(read_calls(part.path, part.run["id"])):
        moved = record.moved(by_ns)
        yield _Call(moved.ended_ns, number, place, moved, request, content)


def _check_once(call: _Call, parts: Sequence[Part], seen: dict[int, Part]) -> None:
    """Raise ConfigError for a request that another part has too."""
    index, mine = call.record.index, parts[call.part]
    if index is not None and (other := seen.setdefault(index, mine)) is not mine:
        raise ConfigError(
            "each request in one run file", f"request {index} in {other.path} and {mine.path}",
            "merge the shards of one run",
        )  # fmt: skip


def _account(parts: Sequence[Part], stats: Stats) -> Health:
    """Say what no record says, and return how all workers fared."""
    stats.due, health = 0, Health(0)
    for part in parts:
        part.account.state(stats)
        health.add(part.account.health)
    if missing := _missing(parts):
        stats.lose("shard_missing", missing)
        stats.due += missing
        health.died.append(f"{_absent(parts)} of {parts[0].account.shard.of} shards left no run file")
    return health


def _absent(parts: Sequence[Part]) -> int:
    return parts[0].account.shard.of - len(parts)


def _missing(parts: Sequence[Part]) -> int:
    """Return how many requests the shards without a run file were to send, as far as anybody knows."""
    of = parts[0].account.of
    return 0 if of is None or not _absent(parts) else of - sum(part.account.planned for part in parts)


def _head(parts: Sequence[Part], into: Path) -> dict[str, Any]:
    """Return the `run` of the report: what all shards were asked for, since the first of them began."""
    first = parts[0]
    return {
        "id": uuid.uuid4().hex,
        "name": into.stem if into.suffix == ".db" else into.name,
        "started_at": min(part.run["started_at"] for part in parts),
        "arguments": {**first.run["arguments"], "shard": None, "name": None},
        "versions": first.run["versions"],
    }


def _of_all(parts: Sequence[Part]) -> dict[str, Any]:
    """Return what the reports of the shards say of their ends, together."""
    reports = [part.run["summary"] or {} for part in parts]
    ends = {report.get("ended_by") for report in reports}
    return {
        "ended_by": next((end for end in _ENDS if end in ends), None),
        "warmup": _sums(report.get("warmup") for report in reports),
        "telemetry": _telemetry([report.get("telemetry") for report in reports]),
    }


def _sums(parts: Iterable[Mapping[str, int] | None]) -> dict[str, int] | None:
    """Return the counts of all by name; None where there are none."""
    found: Counter[str] = Counter()
    for part in parts:
        found.update(part or {})
    return dict(found) or None


def _telemetry(parts: Sequence[Mapping[str, Mapping[str, int]] | None]) -> dict[str, Any] | None:
    names = dict.fromkeys(name for part in parts for name in part or ())
    return {name: _sums((part or {}).get(name) for part in parts) for name in names} or None


def _notes(parts: Sequence[Part]) -> Iterator[str]:
    """Yield what the shards have noted: once where all of them did, else with their number."""
    noted = [_own_notes(part.run["summary"] or {}) for part in parts]
    for note in dict.fromkeys(note for notes in noted for note in notes):
        by = [str(part.account.shard) for part, notes in zip(parts, noted, strict=True) if note in notes]
        yield note if len(by) == len(parts) else f"shard {', '.join(by)}: {note}"


def _own_notes(report: Mapping[str, Any]) -> list[str]:
    """Return the notes of a shard but for those on flags, which are counted anew."""
    counted = set(flag_notes(report)) if report else set()
    return [note for note in report.get("notes", ()) if note not in counted]

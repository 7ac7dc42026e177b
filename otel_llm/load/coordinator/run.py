"""A load run from beginning to end: workers, run file, telemetry, display, report."""

import gc
import signal
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any, Final, Protocol, Self

from otel_llm.clock import SYSTEM, now_ns
from otel_llm.errors import ConfigError
from otel_llm.load.coordinator.coordinator import Engine, Health
from otel_llm.load.coordinator.reckoning import Finished
from otel_llm.load.coordinator.stopping import Stopping
from otel_llm.load.coordinator.warmup import warm_up
from otel_llm.load.figures.counting import Counting
from otel_llm.load.figures.scrutiny import scrutinise
from otel_llm.load.figures.slo import Slo
from otel_llm.load.figures.stats import Stats
from otel_llm.load.figures.verdict import ClientError
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.show.live import Display, log
from otel_llm.load.show.notes import notes_of
from otel_llm.load.show.report import SCHEMA
from otel_llm.load.show.transcript import Transcript
from otel_llm.load.worker.content import Content
from otel_llm.measures import Facts
from otel_llm.record import StreamRecord
from otel_llm.sinks.sqlite import RunFile, check_appendable

__all__ = ["Outcome", "Reporter", "Run", "run_name"]

_COLLECT_AFTER: Final = 50_000


class Reporter(Protocol):
    """Where finished requests go besides the run file: telemetry, an experiment tracker."""

    def add(self, facts: Sequence[Facts], met: Sequence[bool] | None) -> None:
        """Take requests that ended; `met` says of each whether it met the SLO, where there is one."""
        ...

    def close(self, report: Mapping[str, Any], loop_lag_ns: Sequence[int]) -> Mapping[str, Any] | None:
        """Send what is left; return what became of it, for the report's `telemetry`."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left: the report, where the run file is, and the exit code it calls for."""

    report: Mapping[str, Any]
    path: Path
    interrupted: bool
    health: Health
    stats: Stats
    notes: Sequence[str] = ()

    def exit_code(self, *, strict: bool = False) -> int:
        """Return 0 done, 3 client-limited and strict, 130 interrupted.

        1: every request failed, or too many of them for `max_errors`, or the SLO was missed.
        """
        if self.interrupted:
            return 130
        slo = self.report["slo"]
        stopped = self.report["ended_by"] == "max_errors"
        if not self.stats.succeeded or stopped or (slo is not None and not slo["met"]):
            return 1
        return 3 if strict and self.report["client"]["saturated"] else 0


def run_name(model: str, name: str | None, now: datetime | None = None) -> tuple[str, Path]:
    """Return the name of a run and its file: NAME and ./NAME, else from the model and the time, `/` replaced."""
    if name is not None:
        return name, Path(name)
    stamp = f"{now or datetime.now(UTC).astimezone():%Y_%m_%d_%H_%M_%S_%f}"
    name = f"{model.replace('/', '_')}_benchmark_{stamp}"
    return name, Path(f"{name}.db")


class Run:
    """Does what a plan says and writes down what happened, whatever happens."""

    def __init__(
        self,
        plan: LoadPlan,
        *,
        name: str | None = None,
        slo: Slo | None = None,
        arguments: Mapping[str, Any] | None = None,
        counting: Counting | None = None,
        keep_content: bool = True,
        log_every: int = 10,
        append: bool = False,
        reporters: Callable[[Mapping[str, Any]], Sequence[Reporter]] = lambda _: (),
    ) -> None:
        """arguments: the command line without its secrets; reporters: made from the run's head, after the fork"""
        self.plan, self.slo, self._log_every, self._make_reporters = plan, slo, log_every, reporters
        self._counting, self._keep_content = counting, keep_content
        run, self.path = run_name(plan.model, name)
        self._append = append
        if append and self.path.exists():
            check_appendable(self.path)
        elif self.path.exists():
            raise ConfigError("a run file that does not exist yet", str(self.path), "give another --name, or --append")
        started = datetime.fromtimestamp(SYSTEM.wall_ns(now_ns()) / 1e9, UTC)
        self.head: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "name": run,
            "started_at": started.isoformat(),
            "arguments": dict(arguments or {}),
            "versions": {"otel_llm": version("otel-llm"), "python": sys.version.split()[0]},
        }
        self.stats = Stats(plan.number)
        self.client = ClientError()
        self._transcript = Transcript(plan, log)

    def go(self) -> Outcome:
        """Run it. Whatever ends it (its end, Ctrl-C, a worker's death), what was measured is written and reported."""
        engine = Engine(self.plan)
        with ExitStack() as stack:
            interrupts = stack.enter_context(_Interrupts())
            warmed = warm_up(self.plan, interrupts.asked)
            stack.callback(engine.close)
            engine.start()  # before anything here starts a thread
            file = RunFile(self.path, self.head, None if self.plan.endless else self.plan.number, append=self._append)
            try:
                reporters = list(self._make_reporters(self.head))
            except ConfigError:
                file.discard()
                raise
            display = stack.enter_context(self._display())

            def finished(batch: Sequence[Finished]) -> None:
                while batch:
                    part, batch = batch[: display.until_log()], batch[display.until_log() :]
                    self._take(part, file, reporters)
                    display.log()

            def turn() -> None:
                file.commit()
                display.turn(engine.sent, engine.in_flight)

            stopping = Stopping(self.plan, self.stats, engine, interrupts.asked)
            stack.enter_context(_rare_collections())
            health = engine.run(finished, turn, stopping)
        self._account(health, stopping, engine.sent)
        report = self._report(health, engine.start_ns) | {"ended_by": stopping.ended_by, "warmup": warmed}
        report["notes"] = notes = list(notes_of(self.plan, report))
        report["telemetry"] = _close(reporters, report, health.loop_lag_ns)
        file.close(report)
        return Outcome(report, self.path, interrupts.asked(), health, self.stats, notes)

    def _display(self) -> Display:
        plan = self.plan
        pace = f"{plan.rate:g} requests/s" if plan.rate is not None else f"{plan.parallel} in parallel"
        return Display(self.stats, self.concurrency, self._log_every, f"{plan.model} · {pace}")

    @property
    def concurrency(self) -> int:
        """What the document's report calls concurrency."""
        return self.plan.parallel

    def _take(self, batch: Sequence[Finished], file: RunFile, reporters: Sequence[Reporter]) -> None:
        taken = [self._look_at(item) for item in batch]
        records, bodies = [record for record, _ in taken], [body for _, body in taken]
        facts = Facts.of(*records)
        kept = map(self._kept, bodies, [item.content for item in batch])
        file.add([(fact, *content) for fact, content in zip(facts, kept, strict=True)])
        self.stats.add(facts)
        self.client.add(records)
        met = self.slo.add(facts) if self.slo is not None else None
        for reporter in reporters:
            reporter.add(facts, met)

    def _look_at(self, item: Finished) -> tuple[StreamRecord, bytes]:
        """Return the record with its tokens counted and its oddities flagged, and what was asked."""
        record, content = item
        body = self.plan.request(record.index or 0).body
        if self._counting is not None and content is not None:
            record = self._counting.recount(record, body, content.events())
        record = scrutinise(record, body)
        if self._transcript.wanted:
            self._transcript.add(record, body, content.events() if content is not None else ())
        return record, body

    def _kept(self, body: bytes, content: Content | None) -> tuple[str | None, str | None]:
        """Return what the run file keeps of what was asked and answered, as JSON."""
        if not self._keep_content:
            return None, None
        return body.decode("utf-8", "replace"), None if content is None else content.to_json()

    def _account(self, health: Health, stopping: Stopping, sent: int) -> None:
        """See that every planned request has ended one way or another."""
        stats = self.stats
        stats.due = stopping.due()
        if self.plan.endless:
            stats.planned = max(stats.ended, sent, 1 if health.unreachable else 0)
            stats.due = stats.planned
        missing = stats.planned - stats.ended
        if missing and health.unreachable is not None:
            stats.lose(health.unreachable[0], missing)
        elif missing and health.died:
            stats.lose("worker_died", missing)
        elif missing and not stopping.early and stats.due == stats.planned:
            stats.lose("not_sent", missing)

    def _report(self, health: Health, start_ns: int | None) -> dict[str, Any]:
        took = self.stats.duration_s
        return {
            "schema": SCHEMA,
            "run": self.head,
            **self.stats.summary(),
            "slo": self.slo.report(max(self.stats.due, 1), took) if self.slo is not None else None,
            "client": self.client.report(health, start_ns, self.stats.values["inter_token_latency"]),
        }


def _close(
    reporters: Sequence[Reporter], report: Mapping[str, Any], loop_lag_ns: Sequence[int]
) -> dict[str, Any] | None:
    ledger: dict[str, Any] = {}
    for reporter in reporters:
        ledger |= reporter.close(report, loop_lag_ns) or {}
    return ledger or None


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for garbage seldom, and never in what was imported: little is cyclic, and a tenth of the time went there."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


class _Interrupts:
    """While entered, Ctrl-C and SIGTERM ask for an orderly end; a second Ctrl-C is Python's own again."""

    def __init__(self) -> None:
        self._asked = False

    def asked(self) -> bool:
        return self._asked

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True

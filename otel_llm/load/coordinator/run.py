"""A load run from beginning to end: workers, run file, telemetry, display, report."""

import logging
import platform
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

from otel_llm.clock import SYSTEM, now_ns
from otel_llm.errors import ConfigError
from otel_llm.load.asked import Asked, LazyRequests
from otel_llm.load.coordinator.coordinator import Coordinator, warm_up
from otel_llm.load.coordinator.crew import Crew
from otel_llm.load.coordinator.delivery import Delivery
from otel_llm.load.coordinator.garbage import rare_collections
from otel_llm.load.coordinator.giving_way import giving_way
from otel_llm.load.coordinator.interrupts import Interrupts
from otel_llm.load.coordinator.local import LOCAL
from otel_llm.load.coordinator.reckoning import FinishedCall
from otel_llm.load.coordinator.start import wait_for_start
from otel_llm.load.coordinator.stopping import Stopping
from otel_llm.load.figures.certainty import Certainty
from otel_llm.load.figures.counting import Counting
from otel_llm.load.figures.gates import TOLERATED, Gate, judge
from otel_llm.load.figures.health import Health
from otel_llm.load.figures.machines import Machine
from otel_llm.load.figures.run_figures import RunFigures
from otel_llm.load.figures.slo import Slo
from otel_llm.load.figures.stats import Stats
from otel_llm.load.merge.shard_account import ShardAccount, boot_id
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.plan.share import Shard
from otel_llm.load.server.side import NotLookedAt, ServerSide
from otel_llm.load.server.source import Source
from otel_llm.load.server.version import version_told
from otel_llm.load.show.live import Display, log
from otel_llm.load.show.llmuses_format import is_wanted
from otel_llm.load.show.report import SCHEMA, notes_of
from otel_llm.load.show.secrets import Secrets
from otel_llm.load.show.transcript import Transcript
from otel_llm.measures import Facts
from otel_llm.record import StreamRecord
from otel_llm.sinks import Ended, Sink
from otel_llm.sinks.sqlite import RUN_FILE, RunFile, check_appendable

__all__ = ["MakeSinks", "Run", "RunResult", "run_name"]

_LONGEST: Final = 200
"""Bytes of a model's name in a file name."""

MakeSinks = Callable[[Mapping[str, Any], Health], Sequence[Sink]]
"""Makes the sinks of a run beside its run file: (the `run` of its report, how the client fares while it goes on)."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run left: the report, where the run file is, and the exit code it calls for.

    failures:  a sentence for each place where results lack something
    abandoned: whether a thread is still exporting, for which an interrupted run does not wait
    """

    report: Mapping[str, Any]
    path: Path
    interrupted: bool
    health: Health
    stats: Stats
    notes: Sequence[str] = ()
    failures: Sequence[str] = ()
    abandoned: bool = False

    def exit_code(self, *, strict: bool = False) -> int:
        """Return 0 when done, 3 when strict and client-limited, 130 when interrupted.

        1: every request failed, or too many of them for `max_errors`, or the SLO was missed, or a gate was not passed;
        a worker was lost, or results could not be written.
        """
        if self.interrupted:
            return 130
        slo = self.report["slo"]
        broken = self.report["ended_by"] == "max_errors" or self.health.died or self.failures
        missed = (slo is not None and not slo["met"]) or any(gate["failed"] for gate in self.report["gates"])
        if not self.stats.succeeded or broken or missed:
            return 1
        return 3 if strict and self.report["client"]["saturated"] else 0


def _server_side(sources: Sequence[Source]) -> ServerSide:
    if not sources:
        return NotLookedAt()
    from otel_llm.load.server.account import ScrapedServer  # with the tables of all engines, for those who ask for it

    return ScrapedServer(sources)


def run_name(model: str, name: str | None, now: datetime | None = None, shard: Shard | None = None) -> tuple[str, Path]:
    """Return the name of a run and its file: NAME and ./NAME, else from the model and the time, `/` replaced.

    A model whose name is longer than file names can be is cut short in it. Of shard 2/3, NAME.db is NAME-2-of-3.db.
    """
    if name is not None:
        path = Path(name)
        if shard is not None:
            path = path.with_name(f"{path.stem}-{shard.which + 1}-of-{shard.of}{path.suffix}")
        return str(path), path
    stamp = f"{now or datetime.now(UTC).astimezone():%Y_%m_%d_%H_%M_%S_%f}"
    model = "".join(each if each.isprintable() else "_" for each in model.replace("/", "_"))
    name = f"{model.encode()[:_LONGEST].decode(errors='ignore')}_benchmark_{stamp}"
    return name, Path(f"{name}.db")


class Run:
    """Does what a plan says and writes down what happened, whatever happens."""

    def __init__(
        self,
        plan: LoadPlan,
        *,
        name: str | None = None,
        slo: Slo | None = None,
        gates: Sequence[Gate] = (TOLERATED,),
        until_certain: bool = False,
        arguments: Mapping[str, Any] | None = None,
        counting: Counting | None = None,
        keep_content: bool = True,
        log_every: int = 10,
        append: bool = False,
        secrets: Secrets | None = None,
        notes: Sequence[str] = (),
        sinks: MakeSinks = lambda *_: (),
        crew: Crew = LOCAL,
        sources: Sequence[Source] = (),
    ) -> None:
        """arguments: the command line without its secrets; sinks: called when the workers have been started; sources:
        of the server's metrics, looked at during the run"""
        self._secrets, self._notes, self._crew = secrets, notes, crew
        self.plan, self._gates, self._make_sinks = plan, gates, sinks
        self._certainty = (
            Certainty(slo.attainment, open_loop=plan.open_loop) if until_certain and slo is not None else None
        )
        self._log_every = log_every
        self._counting, self._keep_content = counting, keep_content
        run, self.path = run_name(plan.model, name, shard=plan.shard)
        self._append = append
        if append and self.path.exists():
            check_appendable(self.path)
        else:
            RUN_FILE.check_new(self.path)
        started = datetime.fromtimestamp(SYSTEM.wall_ns(now_ns()) / 1e9, UTC)
        self.head: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "name": run,
            "started_at": started.isoformat(),
            "arguments": dict(arguments or {}),
            "versions": {"otel_llm": version("otel-llm"), "python": sys.version.split()[0]},
        }
        self.figures = RunFigures(
            plan.planned,
            asked=plan.asked if self._asks_for_lengths else None,
            slo=slo,
            groups=plan.groups,
            level=plan.level,
        )
        self.stats, self.server = self.figures.stats, _server_side(sources)
        self._unsent = set[int]()
        """Turns that are not sent, as one that they wait for did not succeed."""
        self._asked: dict[int, Asked] | None = {} if plan.shard is not None and self._asks_for_lengths else None
        self._transcript = (
            Transcript(plan, log, self._secrets or Secrets()) if log.isEnabledFor(logging.DEBUG) else None
        )

    def go(self, interrupts: Interrupts | None = None) -> RunResult:
        """Run it. Whatever ends it (its end, Ctrl-C, a worker's death), what was measured is written and reported.

        interrupts: entered by who prints the result; None: entered here
        """
        if interrupts is None:
            with Interrupts() as own:
                return self.go(own)
        coordinator = Coordinator(self.plan, self._crew, self._counting)
        self._ask_for_version()
        with ExitStack() as stack:
            warmed = warm_up(self.plan, interrupts, self._crew)
            wait_for_start(self.plan, interrupts.asked, log.info)
            stack.callback(coordinator.close)
            stack.callback(self.server.close)
            self.server.start()  # looks once, before the first request
            stack.enter_context(rare_collections())
            coordinator.start()  # before anything here starts a thread
            stack.enter_context(giving_way())  # and who was forked does not
            delivery = Delivery(*self._open_sinks(coordinator.health), interrupts, self.stats)
            display = stack.enter_context(self._display())
            log_line = display.log if display.logs else None

            def finished(batch: Sequence[FinishedCall], machine: Machine | None) -> None:
                batch = self._cleaned(batch)
                facts = Facts.of(*[call.record for call in batch])
                _count(self.stats, facts, self._log_every, log_line)
                self._take(batch, facts, delivery, machine)

            def turn() -> None:
                delivery.add_scrapes(self.server.gather())
                delivery.commit()
                display.turn(coordinator.sent, coordinator.in_flight)

            stopping = Stopping(self.plan, self.stats, coordinator, interrupts.asked, self._look)
            health = coordinator.run(finished, turn, stopping, interrupts.hurried)
            delivery.add_scrapes(self.server.stop(hurried=interrupts.asked()))
        delivery.commit(now=True)
        self._account(health, stopping, coordinator.sent)
        report = self._report(coordinator) | {"ended_by": stopping.ended_by, "warmup": warmed}
        report["gates"] = judge(self._gates, report)
        report["notes"] = notes = [*notes_of(self.plan, report), *self._notes]
        telemetry = delivery.close_others(report) or {}
        problem = telemetry.pop("problem", None)
        report["telemetry"] = telemetry or None
        if problem is not None:
            notes.append(_dropped(telemetry, problem))
        if delivery.abandoned:
            notes.append("interrupted while telemetry was exported: not all of it may have arrived")
        if self.plan.shard is not None:
            delivery.add_account(self._shard_account(self.plan.shard, health, coordinator.start_ns))
        delivery.close_file(report)
        notes += delivery.failures
        return RunResult(
            report, self.path, interrupts.asked(), health, self.stats, notes, delivery.failures, delivery.abandoned
        )

    def _ask_for_version(self) -> None:
        plan = self.plan
        if told := version_told(plan.endpoints, plan.protocol, plan.headers, plan.tls):
            self.head["versions"]["server"] = (self._secrets or Secrets()).strike(told)

    def _open_sinks(self, health: Health) -> tuple[RunFile, Sequence[Sink]]:
        """Return the run file and the other sinks. Raises ConfigError, and leaves nothing, when one cannot be made."""
        file = RunFile(self.path, self.head, None if self.plan.endless else self.plan.planned, append=self._append)
        try:
            return file, self._make_sinks(self.head, health)
        except ConfigError:
            file.discard()
            raise

    def _display(self) -> Display:
        plan = self.plan
        both = is_wanted(self.head["arguments"])
        return Display(self.stats, self.concurrency, f"{plan.model} · {plan.pace}", both=both)

    @property
    def concurrency(self) -> int:
        """What the summary of `llmuses perf` calls concurrency."""
        return self.plan.parallel

    def _cleaned(self, batch: Sequence[FinishedCall]) -> Sequence[FinishedCall]:
        """Return requests that ended without what nothing may see."""
        if self._secrets is not None:
            batch = [_without_secrets(call, self._secrets) for call in batch]
        return batch if self._keep_content else [_without_echo(call) for call in batch]

    def _take(
        self, batch: Sequence[FinishedCall], facts: Sequence[Facts], delivery: Delivery, machine: Machine | None
    ) -> None:
        """Give requests that ended, and were counted, to the figures and to every sink."""
        met = self.figures.add_counted(facts)
        if machine is not None:
            machine.add(facts)
        if self._asked is not None:
            self._asked |= {i: self.plan.asked(i) for fact in facts if (i := fact.record.index) is not None}
        ended = [Ended(fact, call.body, call.content, good) for fact, call, good in zip(facts, batch, met, strict=True)]
        if self._certainty is not None:
            self._certainty.add((call.record for call in batch), met)
        self.server.add(facts)
        if self.plan.conversations is not None:
            self._skip_turns([call.record for call in batch])
        if self._transcript is not None:
            self._transcript.take(ended)
        if not self._keep_content:
            ended = [call._replace(body=None, content=None) for call in ended]
        for sink in delivery.sinks:
            try:
                sink.take(ended)
            except Exception as error:
                delivery.drop(sink, error)

    def _skip_turns(self, records: Sequence[StreamRecord]) -> None:
        """Count the turns that are not sent because one before them did not succeed."""
        for record in records:
            if not record.ok and record.index is not None and not self.plan.endless:
                reason = "turn_failed" if record.outcome == "error" else "turn_cut_off"
                unsent = self.plan.waiting_for(record.index) - self._unsent
                self._unsent |= unsent  # of two turns that failed side by side, both may have been waited for
                self.stats.skip(reason, len(unsent))

    def _account(self, health: Health, stopping: Stopping, sent: int) -> None:
        """Make sure that every planned request is counted as ended in some way."""
        stats = self.stats
        turns_left = self.plan.conversations is not None and self.plan.open_loop and stopping.ended_by == "duration"
        if turns_left and not health.died:
            stats.skip("run_over", stats.planned - stats.ended - stats.skipped)
        stats.due = stopping.due()
        if self.plan.endless:
            stats.planned = max(stats.ended, sent, 1 if health.unreachable else 0)
            stats.due = stats.planned
        missing = stats.planned - stats.ended - stats.skipped
        if missing and health.unreachable is not None:
            stats.lose(health.unreachable[0], missing)
        elif missing and health.died:
            stats.lose("worker_died", missing)
        elif missing and not stopping.early and stats.due == stats.planned - stats.skipped:
            stats.lose("not_sent", missing)

    def _look(self) -> str | None:
        """Return whether the SLO `holds` or `breaks`, where the run lasts until that is certain, and it is."""
        return None if self._certainty is None else self._certainty.look()

    def _shard_account(self, shard: Shard, health: Health, start_ns: int | None) -> ShardAccount:
        stats, plan = self.stats, self.plan
        return ShardAccount(
            shard=shard,
            machine=platform.node(),
            boot=boot_id(),
            of=None if plan.endless else plan.requests_before(plan.number),
            planned=stats.planned,
            due=stats.due,
            lost=dict(stats.lost),
            skipped=dict(stats.skips),
            start_ns=start_ns,
            level=plan.level,
            health=health,
            asked=None if self._asked is None else sorted(self._asked.items()),
        )

    @property
    def _asks_for_lengths(self) -> bool:
        return isinstance(self.plan.requests, LazyRequests) or self.plan.conversations is not None

    def _report(self, coordinator: Coordinator) -> dict[str, Any]:
        machines = [*coordinator.machines.values()]
        figures = self.figures.report(coordinator.health, coordinator.start_ns, machines)
        found = {"schema": SCHEMA, "run": self.head, **figures, "server": self.server.report(self.stats)}
        if self._certainty is not None:
            found["slo"]["certainty"] = self._certainty.judgement.report()
        return found


def _count(stats: Stats, facts: Sequence[Facts], every: int, log_line: Callable[[], None] | None) -> None:
    """Count requests that ended; where there is a log, write a line each time that so many more have."""
    if log_line is None:
        return stats.add(facts)
    while facts:
        missing = every - stats.ended % every
        part, facts = facts[:missing], facts[missing:]
        stats.add(part)
        if len(part) == missing:
            log_line()
    return None


def _without_secrets(call: FinishedCall, secrets: Secrets) -> FinishedCall:
    """Return the call without secrets, so that nothing which sees it writes one down."""
    body, content = secrets.clean_body(call.body), secrets.clean_content(call.content)
    return FinishedCall(secrets.clean_record(call.record), body, content)


def _without_echo(call: FinishedCall) -> FinishedCall:
    """Return the call without what the server wrote when it failed: that may repeat the prompt."""
    record = call.record
    if record.error_message is None or record.status is None:
        return call
    return call._replace(record=msgspec.structs.replace(record, error_message="[left out]"))


def _dropped(telemetry: Mapping[str, Any], problem: str) -> str:
    """Return what to say of telemetry that was not taken."""
    kinds = {"spans": "spans", "metric_points": "metric points"}
    parts = [f"{telemetry[name]['dropped']:,} of {telemetry[name]['recorded']:,} {kinds[name]}" for name in kinds]
    return f"telemetry dropped: {' and '.join(parts)}: {problem}"

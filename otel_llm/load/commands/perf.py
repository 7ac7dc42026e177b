"""`otel-llm perf` as a command."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext, suppress
from dataclasses import replace
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from otel_llm.errors import ConfigError
from otel_llm.load.coordinator.crew import Crew
from otel_llm.load.coordinator.interrupts import Interrupts
from otel_llm.load.coordinator.local import LOCAL
from otel_llm.load.coordinator.run import Run, RunResult
from otel_llm.load.figures import machine_limits as calibration
from otel_llm.load.figures.health import Health
from otel_llm.load.outputs.beside import ViewBeside
from otel_llm.load.outputs.object_store import ObjectStore
from otel_llm.load.outputs.otlp import Export, RunTelemetry
from otel_llm.load.outputs.wandb import WandbSink, load_wandb
from otel_llm.load.plan.arguments import add_arguments
from otel_llm.load.plan.from_options import plan_of
from otel_llm.load.plan.option_values import parse_headers, parse_key_values, prompt_file
from otel_llm.load.plan.other_tools import OTHER_NAMES
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.server.sources import sources_of
from otel_llm.load.show.ci import annotations, write_junit
from otel_llm.load.show.live import set_level
from otel_llm.load.show.redact import redact, redact_url
from otel_llm.load.show.report import print_run
from otel_llm.load.show.result_file import check_writable, write_json
from otel_llm.load.show.secrets import Secrets, secrets_of
from otel_llm.sinks import Sink
from otel_llm.sinks.jsonl import JSON_LINES, JsonLines
from otel_llm.wire.proxy import Proxy

__all__ = ["OTHER_NAMES", "add_arguments", "run"]

_LOG_EVERY: Final = 10
"""Requests between two lines of the log, unless the command says."""


def run(args: argparse.Namespace) -> int:
    """Run it and return the exit code. Raises ConfigError, before any request, when the options ask the impossible."""
    if args.calibrate:
        return _calibrate()
    set_level(debug=args.debug)
    planned = plan_of(args)
    plan = planned.plan
    if args.wandb_api_key:
        load_wandb()
    if args.jsonl is not None:
        JSON_LINES.check_new(args.jsonl)
    if args.json is not None:
        check_writable(args.json, "--json", "JSON")
    if args.junit is not None:
        check_writable(args.junit, "--junit", "JUnit")
    export = Export(args.otlp_endpoint, args.otlp_protocol, args.histograms)

    sources = sources_of(args.server_metrics, plan.endpoints, plan.headers, plan.tls)
    secrets = secrets_of(args, plan)

    def sinks(head: Mapping[str, Any], health: Health) -> Sequence[Sink]:
        found: list[Sink] = []
        if export.wanted:
            found.append(RunTelemetry(export, head, plan.mode, health, (secrets or Secrets()).strike))
        if args.wandb_api_key:
            found.append(WandbSink(args.wandb_api_key, head, plan.model, plan.planned, load_run.concurrency))
        if args.jsonl is not None:
            found.append(JsonLines(args.jsonl))
        return found

    with ExitStack() as leave:
        crew, plan = _crew_of(args, plan, leave)
        load_run = Run(
            plan,
            name=args.name,
            slo=planned.slo,
            gates=planned.gates,
            until_certain=args.until_certain,
            arguments=_written(args, plan),
            notes=planned.notes,
            counting=planned.counting,
            keep_content=not args.no_content,
            log_every=args.log_every_n_query or _LOG_EVERY,
            sinks=sinks,
            sources=sources,
            append=args.append,
            secrets=secrets,
            crew=crew,
        )
        store = _store_of(args, load_run)
        with _beside(load_run, args), Interrupts(last=True) as interrupts:
            result = load_run.go(interrupts)
            code = _tell(load_run, result, args)
            if store is not None and result.path is not None:
                code = _keep(store, result.path) or code
    if result.abandoned:  # an exporter that waits for its receiver would hold the process up at its end
        os._exit(code)
    return code


def _beside(load_run: Run, args: argparse.Namespace) -> AbstractContextManager[object]:
    """Return the page beside the run, if it is wanted, and say where it is. A run without it is a run all the same."""
    if not args.view:
        if args.open:
            raise ConfigError("--open together with --view", "--open alone")
        return nullcontext()
    page = ViewBeside(load_run.path, open_browser=args.open)
    sys.stderr.writelines(f"{line}\n" for line in page.start())
    return page


def _crew_of(args: argparse.Namespace, plan: LoadPlan, leave: ExitStack) -> tuple[Crew, LoadPlan]:
    """Return where workers run, and the plan for so many of them. leave: closes them at the end"""
    if args.ray is None:
        return LOCAL, plan
    from otel_llm.load.remote.ray_crew import RayCrew  # its library is loaded by those who ask for it

    crew = leave.enter_context(closing(RayCrew(args.ray, args.per_node)))
    return crew, replace(plan, workers=crew.workers)


def _store_of(args: argparse.Namespace, load_run: Run) -> ObjectStore | None:
    if args.store is None:
        return None
    if args.append:
        raise ConfigError("--store without --append", "both", "each run is a file of its own in a store")
    return ObjectStore.at(args.store, load_run.path.name)


def _tell(load_run: Run, result: RunResult, args: argparse.Namespace) -> int:
    """Write and print the result, as far as there is room and a reader; return the exit code."""
    code, lost = result.exit_code(strict=args.strict), list[str]()
    strict = args.strict
    for path, write in ((args.json, write_json), (args.junit, partial(write_junit, strict=strict))):
        try:
            if path is not None:
                write(path, result.report)
        except ConfigError as error:
            lost.append(str(error))
    try:
        print_run(result.stats, load_run.concurrency, result.report, result.path, result.health)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            sys.stdout.writelines(f"{line}\n" for line in annotations(result.report, strict=strict))
            sys.stdout.flush()
    except BrokenPipeError:  # who read it has gone, and wants no more
        _leave_stdout()
    except OSError as error:
        lost.append(f"nothing could be printed: {error}")
        _leave_stdout()
    with suppress(OSError):
        sys.stderr.writelines(f"otel-llm perf: {line}\n" for line in lost)
        sys.stderr.flush()
    return code or bool(lost)


def _keep(store: ObjectStore, path: Path) -> int:
    """Copy the run file into the store and say so; return 1 where that failed, which loses nothing."""
    try:
        said, code = f"stored at {redact_url(store.put(path))}", 0
    except ConfigError as error:
        said, code = str(error), 1
    with suppress(OSError):
        sys.stderr.write(f"otel-llm perf: {said}\n")
        sys.stderr.flush()
    return code


def _leave_stdout() -> None:
    """Let what is still to be flushed go nowhere: the interpreter would fail at it when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _calibrate() -> int:
    from otel_llm.load.commands import calibrate

    out = Console(highlight=False)
    levels = []
    for level in calibrate.calibrate():
        levels.append(level)
        out.print(f"[dim]{level.streams} streams: {level.packets_per_s:,.0f} packets/s[/]")
    calibrate.print_levels(levels, out)
    out.print(f"kept in {calibration.save_levels(levels)}; later runs are compared with it", soft_wrap=True)
    return 0


def _written(args: argparse.Namespace, plan: LoadPlan) -> dict[str, Any]:
    """Return the options as the run file and the report keep them: without secrets, headers and parameters by name."""
    given = {name: value for name, value in vars(args).items() if name not in ("run", "command", "view", "open")}
    urls = [redact_url(target.url) for target in plan.endpoints]
    given["model"] = plan.model
    given["url"] = urls[0] if len(urls) == 1 else urls
    given["server_metrics"] = [redact_url(url) for url in args.server_metrics]
    given["proxy"] = None if args.proxy is None else repr(Proxy.parse(args.proxy))
    given["otlp_endpoint"] = None if args.otlp_endpoint is None else redact_url(args.otlp_endpoint)
    given |= {name: _plain(given[name]) for name in ("rate", "parallel")}
    given["shard"] = None if plan.shard is None else str(plan.shard)
    given["headers"] = parse_headers(args.headers)
    given["parameters"] = parse_key_values("--parameters", args.parameters)
    given |= {name: None if given[name] is None else str(given[name]) for name in ("json", "jsonl", "junit")}
    if args.no_content and args.prompt is not None and prompt_file(args.prompt) is None:
        given["prompt"] = "[left out]"
    return redact(given)


def _plain(texts: Sequence[str] | None) -> float | str | None:
    """Return a rate or a concurrency as a number, in stages as a text."""
    if texts is None:
        return None
    with suppress(ValueError):
        number = float(texts[0])
        if len(texts) == 1 and isfinite(number):
            return int(number) if number.is_integer() else number
    return " ".join(texts)

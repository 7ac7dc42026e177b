"""`otel-llm perf` as a command."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from otel_llm.load.coordinator.run import Outcome, Reporter, Run
from otel_llm.load.figures import machine_limits as calibration
from otel_llm.load.outputs.otlp import Export, OtelReporter
from otel_llm.load.outputs.wandb import WandbReporter, load_wandb
from otel_llm.load.plan.arguments import add_arguments
from otel_llm.load.plan.from_options import plan_of
from otel_llm.load.plan.option_values import parse_key_values
from otel_llm.load.show import llmuses_format as document
from otel_llm.load.show.live import set_level
from otel_llm.load.show.redact import redact, redact_url
from otel_llm.load.show.report import console, print_report, write_json
from otel_llm.wire.proxy import Proxy

__all__ = ["add_arguments", "run"]


def run(args: argparse.Namespace) -> int:
    """Run it and return the exit code. Raises ConfigError before any request for what cannot be done."""
    if args.calibrate:
        return _calibrate()
    set_level(debug=args.debug)
    planned = plan_of(args)
    plan = planned.plan
    if args.wandb_api_key:
        load_wandb()
    export = Export(args.otlp_endpoint, args.otlp_protocol, args.histograms)

    def reporters(head: Mapping[str, Any]) -> Sequence[Reporter]:
        found: list[Reporter] = [OtelReporter(export, head, plan.mode)] if export.wanted else []
        if args.wandb_api_key:
            found.append(WandbReporter(args.wandb_api_key, head, plan.model, plan.number, load.concurrency))
        return found

    load = Run(
        plan,
        name=args.name,
        slo=planned.slo,
        arguments=_written(args),
        counting=planned.counting,
        keep_content=not args.no_content,
        log_every=args.log_every_n_query,
        reporters=reporters,
        append=args.append,
    )
    outcome = load.go()
    if args.json is not None:
        write_json(args.json, outcome.report)
    show(outcome, load.concurrency)
    return outcome.exit_code(strict=args.strict)


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


def show(outcome: Outcome, concurrency: int) -> None:
    """Print the summaries to standard output, and on standard error what went wrong in one line."""
    sys.stdout.write(document.summary_block(outcome.stats, concurrency) + "\n")
    out = console()
    print_report(outcome.report, out)
    if note := calibration.compare_with_levels(outcome.report, calibration.load_levels()):
        out.print(f"[dim]{note}[/]", highlight=False, soft_wrap=True)
    out.print(f"run file  {outcome.path}", highlight=False, soft_wrap=True)
    sys.stdout.flush()
    if outcome.health.unreachable is not None:
        sys.stderr.write(f"otel-llm perf: {outcome.health.unreachable[1]}\n")
    for line in outcome.health.died:
        sys.stderr.write(f"otel-llm perf: {line}\n")


def _written(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options as the run file and the report keep them: no secrets, headers and parameters by name."""
    given = {name: value for name, value in vars(args).items() if name not in ("run", "command")}
    urls = [redact_url(url) for url in args.url]
    given["url"] = urls[0] if len(urls) == 1 else urls
    given["proxy"] = None if args.proxy is None else repr(Proxy.parse(args.proxy))
    given["headers"] = parse_key_values("--headers", args.headers, typed=False)
    given["parameters"] = parse_key_values("--parameters", args.parameters)
    given["json"] = None if args.json is None else str(args.json)
    if args.no_content and args.prompt is not None and not args.prompt.startswith("@"):
        given["prompt"] = "[left out]"
    return redact(given)

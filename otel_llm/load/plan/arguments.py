"""The options of `otel-llm perf`, in groups. `from_options` makes a plan of them.

An option that sets a field of the plan is declared at that field (`LoadPlan`), every other option here.
"""

import argparse
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from otel_llm.load.figures.slo import ATTAINMENT, QUANTITIES
from otel_llm.load.plan.endpoint import DEFAULT_URL
from otel_llm.load.plan.option import Group, Option, options_of
from otel_llm.load.plan.option_values import seconds, share
from otel_llm.load.plan.plan import LoadPlan

__all__ = ["add_arguments", "flags"]

Add = Callable[..., None]


def add_arguments(parser: argparse.ArgumentParser, without: Collection[str] = ()) -> None:
    """Add every option to the parser, group by group. without: flags of those that a command of many runs has not"""
    parser.formatter_class = _Wide
    if "--glossary" not in without:
        parser.add_argument("--glossary", action=_Glossary, help="print what each figure means, and exit")
    of_plan = options_of(LoadPlan).values()
    for group in Group:
        mine = [option for option in of_plan if option.group is group]
        _add_group(parser.add_argument_group(group), mine, group, without)


def flags() -> dict[str, str]:
    """Return the long flag of each option by its name among parsed arguments: `trace_from` is `--from`."""
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    return {action.dest: action.option_strings[-1] for action in parser._actions}


def _add_group(
    to: "argparse._ArgumentGroup", of_plan: Sequence[Option], group: Group, without: Collection[str]
) -> None:
    """Add the options of one group: an option of the plan before the option that it names, or else at the end."""

    def put(*flags: str, **keywords: Any) -> None:
        if not any(flag in without for flag in flags):
            to.add_argument(*flags, **keywords)

    def add(*flags: str, **keywords: Any) -> None:
        for option in of_plan:
            if option.before in flags:
                put(*option.flags, **option.keywords)
        put(*flags, **keywords)

    if group in _OWN:
        _OWN[group](add)
    for option in of_plan:
        if option.before is None:
            put(*option.flags, **option.keywords)


def _add_ask(add: Add) -> None:
    add(
        "--model", nargs="+", action="extend", metavar="MODEL",
        help="sent in every request; several, as MODEL=WEIGHT, are asked by their weights, after zipf:S by their rank; "
        "default: the only one that the server lists",
    )  # fmt: skip
    add(
        "--protocol", metavar="NAME|FILE",
        help="default: what the URL's path says (`otel-llm plugins` lists them); FILE.toml or FILE.py: one of yours",
    )  # fmt: skip
    add(
        "--prompt", metavar="TEXT", help="one prompt for every request; @FILE takes it from a file, @@ begins it with @"
    )
    add("--dataset", metavar="PATH", help="prompts from this file, read by what is in it; or a name")
    add("--dataset-format", metavar="NAME", help="how to read the file (`otel-llm plugins` lists them)")
    add(
        "--dataset-options",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="options of the dataset format",
    )
    _add_made_prompts(add)
    _add_replayed(add)
    add("--max-prompt-length", type=int, default=sys.maxsize, metavar="N", help="only shorter prompts, characters")
    add("--min-prompt-length", type=int, default=0, metavar="N", help="only longer prompts, characters")
    _add_conversations(add)
    add("--parser", metavar="NAME|FILE", help="build requests and count tokens as llmuses perf did (docs/parsers.md)")
    add("--tokenizer-path", metavar="PATH", help="count tokens where the server does not, and check it where it does")
    add(
        "--parameters", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="merged into the request body: numbers, JSON, text; KEY=null removes KEY",
    )  # fmt: skip


def _add_made_prompts(add: Add) -> None:
    add(
        "--input-tokens",
        metavar="LENGTHS",
        help="prompts made to these lengths: N, normal:MEAN,SD, lognormal:MEAN,SD, "
        "uniform:A..B, histogram:FILE; exact with --tokenizer-path",
    )
    add("--output-tokens", metavar="LENGTHS", help="answers of these lengths, as far as the protocol can ask for them")
    add(
        "--shared-prefix",
        nargs="+",
        action="extend",
        metavar="KEY=VALUE",
        help="groups=N tokens=N or share=S: prompts of a group begin alike, with so many tokens or this share of each",
    )
    add(
        "--images",
        metavar="NxWxH",
        help="so many images of this size with each prompt, such as 1x512x512; or a file, or a folder: one of its "
        "images with each",
    )
    add("--audio", metavar="TIME", help="a recording of noise with each prompt, such as 5s; or a file, or a folder")
    add("--video", metavar="FILE", help="a video with each prompt: a file, or a folder")


def _add_replayed(add: Add) -> None:
    add(
        "--classes", metavar="FILE",
        help="classes of requests by weight, each with prompts, lengths, parameters and a model of its own "
        "(docs/workloads.md)",
    )  # fmt: skip
    add("--trace", metavar="FILE", help="replay requests of this length at these times (docs/workloads.md)")
    add("--trace-format", metavar="NAME", help="format of the trace (docs/workloads.md); default: by what is in it")
    add("--speedup", type=float, metavar="X", help="replay the trace X times as fast (default: 1)")
    add("--from", dest="trace_from", type=seconds, metavar="TIME", help="begin so far into the trace")
    add("--to", dest="trace_to", type=seconds, metavar="TIME", help="end so far into the trace")
    add("--sample", type=share, metavar="SHARE", help="replay this share of the trace's sessions, each of them whole")


def _add_conversations(add: Add) -> None:
    add(
        "--turns", metavar="N|all",
        help="hold conversations of N turns, or uniform:A..B, or all that are recorded; -n, --parallel, --rate and "
        "--max-concurrency then count conversations",
    )  # fmt: skip
    add("--recorded-answers", action="store_true", help="carry on with a conversation's recorded answers")


def _add_machines(add: Add) -> None:
    add("--ray", metavar="ADDRESS", help="run the workers on a Ray cluster: auto, ray://HOST:PORT, or local, a new one")
    add("--per-node", type=int, default=1, metavar="N", help="workers on each of its nodes (default: %(default)s)")


def _add_results(add: Add) -> None:
    add("--name", help="the run's name and run file ./NAME, such as runs/first.db; default: ./MODEL_benchmark_TIME.db")
    add("--store", metavar="URL", help="copy the run file to s3://BUCKET/FOLDER or another object store at the end")
    add("--append", action="store_true", help="add this run to the run file of that name")
    add("--json", type=Path, metavar="FILE", help="write the report as JSON (docs/report.md)")
    add("--jsonl", type=Path, metavar="FILE", help="write a line of JSON for each request (docs/report.md)")
    add(
        "--server-metrics", nargs="+", action="extend", default=[], metavar="URL",
        help="look at the server's own metrics before, after and each second: URLs; auto: beside --url; nvml: the "
        "GPUs here (docs/server.md)",
    )  # fmt: skip
    add("--no-content", action="store_true", help="leave prompts and answers out of the run file")
    add("--log-every-n-query", type=int, metavar="N", help="log after every N requests (default: 10)")
    add(
        "--compat", choices=("llmuses", "none"),
        help="print what llmuses perf printed as well, for programs that read it (default: where --parser or "
        "--log-every-n-query is given)",
    )  # fmt: skip
    add("--debug", action="store_true", help="log every request and response, secrets redacted")
    add("--wandb-api-key", metavar="KEY", help="log to Weights & Biases after every request (needs the extra `wandb`)")
    add("--otlp-endpoint", metavar="URL", help="base URL of an OTLP receiver, e.g. http://localhost:4317")
    add("--otlp-protocol", choices=("grpc", "http/protobuf"), help="default: grpc, http/protobuf for port 4318")
    add("--histograms", choices=("exponential", "explicit"), default="exponential", help="(default: %(default)s)")
    add("--view", action="store_true", help="a live page of the run on this machine; its address is printed")
    add("--open", action="store_true", help="with --view: open it in the browser")


def _add_good_enough(add: Add) -> None:
    add(
        "--slo", nargs="+", action="extend", default=[], metavar="NAME=TIME",
        help=f"per request, such as ttft=300ms: {', '.join(QUANTITIES)}; exit code 1 when missed",
    )  # fmt: skip
    add(
        "--slo-attainment",
        type=share,
        metavar="SHARE",
        help=f"share of requests that must meet the SLO (default: {100 * ATTAINMENT:g}%%)",
    )
    add(
        "--until-certain", action="store_true",
        help="end once it is certain (95%%) whether --slo is kept; -n and --duration are then the most it takes",
    )  # fmt: skip
    add(
        "--fail-if", nargs="+", action="extend", default=[], metavar="'FIGURE>LIMIT'",
        help="exit code 1 when it is so: 'p99_ttft>500ms', 'goodput<50' (docs/gates.md); default: 'error_rate>1%%'",
    )  # fmt: skip
    add("--junit", type=Path, metavar="FILE", help="write the verdicts on --fail-if and --slo as JUnit XML")
    add("--calibrate", action="store_true", help="find out what this machine can measure, and end")
    add("--strict", action="store_true", help="exit code 3 when this client was the limit")


def _add_reach(add: Add) -> None:
    add(
        "--url",
        nargs="+",
        action="extend",
        default=[],
        help=f"the endpoint or its base URL; several are asked in turn (default: {DEFAULT_URL})",
    )
    add(
        "--headers", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="HTTP headers of every request, for example 'Authorization=Bearer …'",
    )  # fmt: skip
    add("--api-key-env", metavar="NAME", help="take the key from this environment variable")
    add("--api-key-file", metavar="FILE", help="take the key from the first line of this file")
    add("--insecure", action="store_true", help="do not verify the server's certificate")
    add("--ca", metavar="FILE", help="certificate authorities that the server is verified by")
    add("--cert", metavar="FILE", help="client certificate")
    add("--key", metavar="FILE", help="key of the client certificate")
    add("--proxy", metavar="URL", help="HTTP proxy; default: what HTTP_PROXY, HTTPS_PROXY, NO_PROXY say")
    add("--uds", metavar="PATH", help="connect to this Unix socket in place of the URL's host")


_OWN: Final[Mapping[Group, Callable[[Add], None]]] = {
    Group.ASK: _add_ask,
    Group.MACHINES: _add_machines,
    Group.RESULTS: _add_results,
    Group.GOOD_ENOUGH: _add_good_enough,
    Group.REACH: _add_reach,
}


class _Wide(argparse.HelpFormatter):
    """Leaves enough room for the names of the options to have the help text beside most of them."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=36)


class _Glossary(argparse.Action):
    """Prints the glossary and exits, whatever else was given, as --help does."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=options.get("help"))

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from otel_llm.load.figures.glossary import format_glossary

        sys.stdout.write(format_glossary())
        parser.exit()

"""The options of `otel-llm perf`, grouped by what they are about. `planning` makes a plan of them."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["add_arguments"]

_URL = "http://localhost:8000/v1/chat/completions"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add every option."""
    parser.formatter_class = _Wide
    parser.add_argument("--glossary", action=_Glossary, help="print what each figure means, and exit")
    _what(parser.add_argument_group("what to ask"))
    _much(parser.add_argument_group("how much, and when"))
    _stop(parser.add_argument_group("when to stop"))
    _out(parser.add_argument_group("where the results go"))
    _judge(parser.add_argument_group("what is good enough"))
    _reach(parser.add_argument_group("how to reach it"))


def _what(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add("--model", help="model name, sent in every request")
    add("--protocol", metavar="NAME", help="default: what the URL's path says (`otel-llm plugins` lists them)")
    add("--prompt", metavar="TEXT", help="one prompt for every request; @FILE takes it from a file")
    add("--dataset", metavar="PATH", help="prompts from this file, line by line where nothing else is said; or a name")
    add("--dataset-format", metavar="NAME", help="how to read the file (`otel-llm plugins` lists them)")
    add("--dataset-options", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="for that format")
    add("--max-prompt-length", type=int, default=sys.maxsize, metavar="N", help="only shorter prompts, characters")
    add("--min-prompt-length", type=int, default=0, metavar="N", help="only longer prompts, characters")
    add("--parser", metavar="NAME|FILE", help="build requests and count tokens as llmuses perf did (docs/parsers.md)")
    add("--tokenizer-path", metavar="PATH", help="count tokens where the server does not, and check it where it does")
    add(
        "--parameters", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="laid over the request body: numbers, JSON, text; KEY=null takes KEY out",
    )  # fmt: skip
    add("--no-stream", action="store_true", help="ask for whole answers (there is no first token then)")
    add("--cache-bust", action="store_true", help="begin every prompt differently, so that no cached prefix answers it")


def _much(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add("-n", "--number", type=int, metavar="N", help="requests; default: one for --prompt, one pass of the dataset")
    add("--parallel", type=int, metavar="N", help="closed loop: requests under way at any time (default: 1)")
    add(
        "--rate", type=float, metavar="R",
        help="open loop: requests per second, as a Poisson process, whatever comes back; -1 sends all at time 0",
    )  # fmt: skip
    add("--max-concurrency", type=int, metavar="N", help="the most requests an open loop has under way; others wait")
    add("--seed", type=int, default=0, metavar="N", help="of the arrival times and synthetic prompts (default: 0)")
    add("--ramp", type=float, metavar="S", help="seconds over which a closed loop starts; default: about one answer")
    add("--warmup", type=int, default=0, metavar="N", help="requests sent before the run; none of them counts")
    add(
        "--workers", type=_workers, default=1, metavar="N",
        help="processes that send and receive; auto: one for each core but one (default: 1)",
    )  # fmt: skip


def _stop(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add("--duration", type=float, metavar="S", help="begin no request after so many seconds; prompts start again")
    add("--grace", type=float, metavar="S", help="then wait so long for those under way (default: 30)")
    add("--max-errors", type=int, metavar="N", help="stop when so many requests have failed; exit code 1")
    add("--max-tokens-total", type=int, metavar="N", help="begin no request after so many tokens, in and out together")
    add("--connect-timeout", type=float, default=120, metavar="S", help="seconds to connect (default: 120)")
    add("--read-timeout", type=float, default=120, metavar="S", help="seconds between two reads (default: 120)")


def _out(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add("--name", help="the run's name and run file ./NAME; default: ./MODEL_benchmark_TIME.db")
    add("--append", action="store_true", help="add this run to the run file of that name")
    add("--json", type=Path, metavar="FILE", help="write the report as JSON (docs/report.md)")
    add("--jsonl", type=Path, metavar="FILE", help="write a line of JSON for each request (docs/report.md)")
    add("--no-content", action="store_true", help="leave prompts and answers out of the run file")
    add("--log-every-n-query", type=int, default=10, metavar="N", help="log after every N requests (default: 10)")
    add("--debug", action="store_true", help="log every request and response, secrets redacted")
    add("--wandb-api-key", metavar="KEY", help="log to Weights & Biases after every request (needs the extra `wandb`)")
    add("--otlp-endpoint", metavar="URL", help="base URL of an OTLP receiver, e.g. http://localhost:4317")
    add("--otlp-protocol", choices=("grpc", "http/protobuf"), help="default: grpc, http/protobuf for port 4318")
    add("--histograms", choices=("exponential", "explicit"), default="exponential", help="(default: %(default)s)")
    add("--no-traceparent", action="store_true", help="send no trace context to the server")


def _judge(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add(
        "--slo", nargs="+", action="extend", default=[], metavar="NAME=SECONDS",
        help="per request: ttft, tpot, latency, itl_p50, itl_p90, itl_p99, itl_max; exit code 1 when missed",
    )  # fmt: skip
    add("--slo-attainment", type=float, default=0.99, metavar="SHARE", help="that must meet it (default: 0.99)")
    add("--calibrate", action="store_true", help="find out what this machine can measure, and end")
    add("--strict", action="store_true", help="exit code 3 when this client was the limit")


def _reach(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add("--url", nargs="+", default=[_URL], help=f"the endpoint, whole; several are asked in turn (default: {_URL})")
    add(
        "--headers", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="HTTP headers of every request, for example 'Authorization=Bearer …'",
    )  # fmt: skip
    add("--api-key-env", metavar="NAME", help="take the key from this environment variable")
    add("--api-key-file", metavar="FILE", help="take the key from the first line of this file")
    add("--new-connection", action="store_true", help="a new connection for every request")
    add("--insecure", action="store_true", help="do not verify the server's certificate")
    add("--ca", metavar="FILE", help="authorities to verify it by")
    add("--cert", metavar="FILE", help="client certificate")
    add("--key", metavar="FILE", help="its key")
    add("--proxy", metavar="URL", help="HTTP proxy; default: what HTTP_PROXY, HTTPS_PROXY, NO_PROXY say")
    add(
        "--transport", choices=("socket", "stream"),
        help="how reads are stamped: on a socket of ours (the kernel's stamps on Linux), or by the loop's transports",
    )  # fmt: skip
    add("--uds", metavar="PATH", help="connect to this Unix socket in place of the URL's host")


def _workers(text: str) -> int:
    return max((os.cpu_count() or 2) - 1, 1) if text == "auto" else int(text)


class _Wide(argparse.HelpFormatter):
    """Leaves room for the names of the options, so that each explanation stands beside its own."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=36)


class _Glossary(argparse.Action):
    """Prints the glossary, whatever else was given, as --help does."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=options.get("help"))

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from otel_llm.load.figures.glossary import glossary

        sys.stdout.write(glossary())
        parser.exit()

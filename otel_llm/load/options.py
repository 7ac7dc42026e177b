"""`otel-llm perf`: its options, and a plan from what was given."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.load.asking import requests_of
from otel_llm.load.counting import Counting
from otel_llm.load.plan import LoadPlan
from otel_llm.load.slo import Slo, parse_term
from otel_llm.wire.plugins import load_protocol, protocol_for_path
from otel_llm.wire.proxy import Proxy, proxy_for
from otel_llm.wire.target import Target

__all__ = ["add_arguments", "key_values", "plan_of", "prompt_text", "slo_of"]

_BOOL: Final = {"bool_true": True, "bool_false": False}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add every option, grouped by what it is about."""
    what = parser.add_argument_group("what to ask")
    what.add_argument("--model", help="model name, sent in every request")
    what.add_argument(
        "--url",
        default="http://localhost:8000/v1/chat/completions",
        help="the endpoint, whole (default: %(default)s)",
    )
    what.add_argument("--protocol", help="how to speak to it; default: what the URL's path says (`otel-llm plugins`)")
    what.add_argument("--prompt", help="one prompt for every request; @FILE takes it from a file")
    what.add_argument("--dataset", help="prompts from this file, line by line where nothing else is said; or a name")
    what.add_argument("--dataset-format", metavar="NAME", help="how to read the file (`otel-llm plugins`)")
    what.add_argument("--dataset-options", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="for it")
    what.add_argument(
        "--max-prompt-length",
        type=int,
        default=sys.maxsize,
        metavar="N",
        help="only shorter prompts of a dataset, characters",
    )
    what.add_argument(
        "--min-prompt-length", type=int, default=0, metavar="N", help="only longer prompts of a dataset, characters"
    )
    what.add_argument("--parser", help="build requests and count tokens as llmuses perf did: a name or a Python file")
    what.add_argument("--tokenizer-path", metavar="PATH", help="count tokens by this where the server does not")
    what.add_argument(
        "--parameters", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="laid over the request body: numbers, JSON, text; KEY=null takes KEY out",
    )  # fmt: skip
    what.add_argument(
        "--headers", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="HTTP headers of every request, for example 'Authorization=Bearer …'",
    )  # fmt: skip
    what.add_argument("--no-stream", action="store_true", help="ask for whole answers (there is no first token then)")

    much = parser.add_argument_group("how much, and when")
    much.add_argument("-n", "--number", type=int, help="requests to send; default: one for --prompt")
    much.add_argument("--parallel", type=int, help="closed loop: requests under way at any time (default: 1)")
    much.add_argument(
        "--rate", type=float,
        help="open loop: requests per second, as a Poisson process, whatever comes back; -1 sends all at time 0",
    )  # fmt: skip
    much.add_argument("--max-concurrency", type=int, help="the most requests an open loop has under way; others wait")
    much.add_argument("--seed", type=int, default=0, help="of the arrival times (default: %(default)s)")
    much.add_argument("--ramp", type=float, help="seconds over which a closed loop starts; default: about one answer")
    much.add_argument(
        "--workers", type=_workers, default=1, metavar="N",
        help="processes that send and receive; auto: one for each core but one (default: %(default)s)",
    )  # fmt: skip
    much.add_argument("--connect-timeout", type=float, default=120, help="seconds to connect (default: %(default)s)")
    much.add_argument(
        "--read-timeout", type=float, default=120, help="seconds between two reads (default: %(default)s)"
    )

    out = parser.add_argument_group("where the results go")
    out.add_argument("--name", help="the run's name and run file ./NAME; default: ./MODEL_benchmark_TIME.db")
    out.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    out.add_argument("--no-content", action="store_true", help="leave prompts and answers out of the run file")
    out.add_argument(
        "--log-every-n-query", type=int, default=10, metavar="N", help="log after every N (default: %(default)s)"
    )
    out.add_argument("--otlp-endpoint", metavar="URL", help="base URL of an OTLP receiver, e.g. http://localhost:4317")
    out.add_argument(
        "--otlp-protocol", choices=("grpc", "http/protobuf"), help="default: grpc, http/protobuf for port 4318"
    )
    out.add_argument(
        "--histograms", choices=("exponential", "explicit"), default="exponential", help="(default: %(default)s)"
    )
    out.add_argument("--no-traceparent", action="store_true", help="send no trace context to the server")

    judge = parser.add_argument_group("what is good enough")
    judge.add_argument(
        "--slo", nargs="+", action="extend", default=[], metavar="NAME=SECONDS",
        help="per request: ttft, tpot, latency, itl_p50, itl_p90, itl_p99, itl_max; exit code 1 when missed",
    )  # fmt: skip
    judge.add_argument("--slo-attainment", type=float, default=0.99, help="share that must (default: %(default)s)")
    judge.add_argument("--calibrate", action="store_true", help="find out what this machine can measure, and end")
    judge.add_argument("--strict", action="store_true", help="exit code 3 when this client was the limit")

    reach = parser.add_argument_group("how to reach it")
    reach.add_argument("--insecure", action="store_true", help="do not verify the server's certificate")
    reach.add_argument("--ca", metavar="FILE", help="authorities to verify it by")
    reach.add_argument("--cert", metavar="FILE", help="client certificate")
    reach.add_argument("--key", metavar="FILE", help="its key")
    reach.add_argument("--proxy", metavar="URL", help="HTTP proxy; default: what HTTP_PROXY, HTTPS_PROXY, NO_PROXY say")
    reach.add_argument(
        "--transport", choices=("socket", "stream"),
        help="how reads are stamped: on a socket of ours (the kernel's stamps on Linux), or by the loop's transports",
    )  # fmt: skip
    reach.add_argument("--uds", metavar="PATH", help="connect to this Unix socket in place of the URL's host")


def _workers(text: str) -> int:
    return max((os.cpu_count() or 2) - 1, 1) if text == "auto" else int(text)


def plan_of(args: argparse.Namespace) -> tuple[LoadPlan, Counting | None]:
    """Return the plan that the options ask for, and who counts tokens where the server does not.

    Raises ConfigError or PluginError for what cannot be done.
    """
    if args.model is None:
        raise ConfigError("--model NAME", None, "it is sent in every request")
    if args.rate is not None and args.parallel is not None:
        raise ConfigError(
            "either --rate or --parallel", f"--rate {args.rate:g} --parallel {args.parallel}",
            f"write --rate {args.rate:g} --max-concurrency {args.parallel}, or --parallel {args.parallel} alone",
        )  # fmt: skip
    if args.log_every_n_query < 1:
        raise ConfigError("--log-every-n-query to be 1 or more", args.log_every_n_query)
    target = _target(args)
    protocol = load_protocol(args.protocol) if args.protocol else protocol_for_path(target.path.partition("?")[0])
    prompt = None if args.prompt is None else prompt_text(args.prompt)
    parameters = key_values("--parameters", args.parameters)
    requests, counts = requests_of(args, protocol, prompt, parameters)
    plan = LoadPlan(
        target=target,
        protocol=protocol,
        model=args.model,
        requests=requests,
        number=len(requests) if args.number is None else args.number,
        parallel=1 if args.parallel is None else args.parallel,
        rate=args.rate,
        max_concurrency=args.max_concurrency,
        seed=args.seed,
        ramp_s=args.ramp,
        stream=not args.no_stream,
        headers={name: str(value) for name, value in key_values("--headers", args.headers, typed=False).items()},
        connect_timeout_s=args.connect_timeout,
        read_timeout_s=args.read_timeout,
        traceparent=not args.no_traceparent,
        keep_events=not args.no_content or counts is not None,
        tls={"insecure": args.insecure, "ca": args.ca, "certificate": args.cert, "key": args.key},
        workers=args.workers,
        **({} if args.transport is None else {"transport": args.transport}),
    )
    return plan, None if counts is None else Counting(protocol, counts)


def _target(args: argparse.Namespace) -> Target:
    target = Target.parse(args.url, args.uds)
    if args.uds is not None:
        return target
    proxy = Proxy.parse(args.proxy) if args.proxy else proxy_for(target.host, tls=target.tls)
    return replace(target, proxy=proxy)


def slo_of(args: argparse.Namespace) -> Slo | None:
    """Return the SLO that was given, or None."""
    return Slo([parse_term(text) for text in args.slo], args.slo_attainment) if args.slo else None


def key_values(option: str, items: Sequence[str], *, typed: bool = True) -> dict[str, Any]:
    """Return KEY=VALUE items as a mapping, split at the first `=`.

    With `typed`, a value is JSON where it can be read as JSON, `bool_true` and `bool_false` as the document has them,
    and text otherwise; '"5"' is the text 5. Raises ConfigError for an item without `=`.
    """
    out: dict[str, Any] = {}
    for item in items:
        key, equals, text = item.partition("=")
        if not equals or not key.strip():
            got = key if option != "--headers" else "an item without ="
            raise ConfigError(f"{option} KEY=VALUE", got, "quote it where the shell would split it")
        out[key.strip()] = _typed(text) if typed else text
    return out


def _typed(text: str) -> Any:
    if text in _BOOL:
        return _BOOL[text]
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def prompt_text(prompt: str) -> str:
    """Return the prompt: what is given, or the content of the file after an @. Raises ConfigError for no such file."""
    if not prompt.startswith("@"):
        return prompt
    try:
        return Path(prompt[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("--prompt @FILE to name a text file", error) from error

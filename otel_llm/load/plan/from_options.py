"""Make a plan of the options, or say in one line what is wrong with them."""

import argparse
import secrets
from dataclasses import dataclass, replace
from math import inf
from urllib.parse import urlsplit

from otel_llm.clock import SYSTEM, now_ns
from otel_llm.errors import ConfigError
from otel_llm.load.figures.counting import Counting
from otel_llm.load.figures.gates import Gate, parse_gates
from otel_llm.load.figures.slo import ATTAINMENT, Slo, parse_term
from otel_llm.load.plan.arrivals import DEFAULT_PROCESS
from otel_llm.load.plan.endpoint import DEFAULT_URL, complete_url
from otel_llm.load.plan.mixed_requests import mixed
from otel_llm.load.plan.mixture import Mixture, parse_models
from otel_llm.load.plan.option import values_of
from otel_llm.load.plan.option_values import parse_headers, parse_key_values, parse_moment, read_api_key, read_prompt
from otel_llm.load.plan.plan import ENDLESS, LoadPlan
from otel_llm.load.plan.request_bodies import requests_of
from otel_llm.load.plan.request_classes import Classes, read_classes
from otel_llm.load.plan.requested import Requests
from otel_llm.load.plan.server_model import find_model
from otel_llm.load.plan.stages import AT_ONCE, Stages, parse_parallel, parse_rate
from otel_llm.load.plan.trace_requests import check_trace, replay
from otel_llm.load.plan.transport import check_transport
from otel_llm.load.prompts.parsers.named import NAMED
from otel_llm.wire.any_events import AnyEvents
from otel_llm.wire.discovery import protocol_for_path
from otel_llm.wire.protocol import Protocol
from otel_llm.wire.protocol_files import find_protocol
from otel_llm.wire.proxy import Proxy, proxy_for
from otel_llm.wire.target import Target, tls_context

__all__ = ["Planned", "plan_of"]


@dataclass(frozen=True, slots=True)
class Planned:
    """What the options ask for.

    counting: counts the tokens that the server did not; None without a tokenizer or parser
    slo:      None without --slo
    gates:    what fails the run: those of --fail-if, and the one on errors
    notes:    what was found out or completed, for the reader of the report
    """

    plan: LoadPlan
    counting: Counting | None
    slo: Slo | None
    gates: tuple[Gate, ...]
    notes: tuple[str, ...] = ()


def plan_of(args: argparse.Namespace) -> Planned:
    """Return what the options ask for. Raises ConfigError or PluginError when that cannot be done."""
    _check(args)
    classes, mixture = _mixed(args)
    several = mixture is not None or (classes is not None and classes.name_models)
    targets, protocol, notes = _endpoints(args, several_models=several)
    if args.prompt is not None and args.dataset is not None:
        notes.append("--prompt comes before --dataset, which was not read")
    check_trace(args, protocol)
    ends = _ends(args)
    most = args.number if args.number is not None else None if ends is None else ENDLESS

    def requests_to(given: argparse.Namespace) -> Requests:
        parameters = parse_key_values("--parameters", given.parameters)
        if given.trace is not None:
            return replay(given, protocol, parameters)
        prompt = None if given.prompt is None else read_prompt(given.prompt)
        return requests_of(given, protocol, prompt, parameters, most)

    if classes is not None:
        mixture = classes.mixture(args)
        made = mixed(args, mixture, classes.options, requests_to, most)
    elif mixture is not None:
        made = mixed(args, mixture, [{"model": name} for name in mixture.names], requests_to, most)
    else:
        made = requests_to(args)
    number = len(made.requests) if most is None else most
    if made.moments is not None:  # there is none for more
        number = min(number, len(made.moments))
    plan = LoadPlan(
        **values_of(LoadPlan, args) | {"levels": _levels(args), "number": number, "duration_s": ends},
        target=targets[0],
        targets=targets,
        protocol=protocol,
        model=args.model,
        mixture=mixture,
        requests=made.requests,
        moments=made.moments,
        conversations=made.conversations,
        session_salt=secrets.token_hex(8) if args.turns or args.session_header else "",
        headers=_headers(args, protocol),
        keep_events=not args.no_content or args.turns is not None or made.counts is not None or args.debug,
        tls={"insecure": args.insecure, "ca": args.ca, "certificate": args.cert, "key": args.key},
    ).within_duration()
    slo, gates = _good_enough(args, plan)
    counting = None if made.counts is None else Counting(protocol, made.counts, plan.asked)
    return Planned(plan, counting, slo, gates, tuple(dict.fromkeys([*notes, *made.notes])))


def _mixed(args: argparse.Namespace) -> tuple[Classes | None, Mixture | None]:
    """Return the classes of requests, and the models, that the run mixes; make `args.model` one name for all models."""
    classes = None if args.classes is None else read_classes(args)
    mixture = None if args.model is None else parse_models(args.model, args.seed)
    if classes is not None and mixture is not None:
        raise ConfigError("one --model with --classes", mixture, "a class may name its model")
    if args.model is not None:
        args.model = args.model[0] if mixture is None else str(mixture)
    elif classes is not None and classes.name_all_models:
        args.model = "+".join(dict.fromkeys(options["model"] for options in classes.options))
    return classes, mixture


def _endpoints(
    args: argparse.Namespace, *, several_models: bool
) -> tuple[tuple[Target, ...], type[Protocol], list[str]]:
    """Return where requests go, how they are written there, and what was completed or found out for that."""
    named = find_protocol(args.protocol) if args.protocol else None
    any_events = None if args.parser in (None, *NAMED) else AnyEvents  # what a parser file needs is less
    model, stream = args.model or "", not args.no_stream
    asked = args.url or [DEFAULT_URL]
    urls = [url if any_events else complete_url(url, named, model, stream=stream) for url in asked]
    targets = tuple(_target(url, args) for url in urls)
    protocol = named or _protocol(targets, any_events)
    args.no_stream = args.no_stream or not protocol.streams
    check_transport(targets, protocol, args)
    if protocol.path("", stream=stream) != protocol.path("m", stream=stream):
        _check_model_of_path(protocol, args, several_models=several_models)
    notes = [
        f"{urlsplit(url).path or '/'} is a base path: requests went to {target.path.partition('?')[0]}"
        for url, target in zip(asked, targets, strict=True) if target.url != url
    ]  # fmt: skip
    if args.model is None:
        args.model = _model_of(targets[0], args, protocol)
        notes.append(f"no --model was given: {args.model} is the only one that the server lists")
    return targets, protocol, notes


def _good_enough(args: argparse.Namespace, plan: LoadPlan) -> tuple[Slo | None, tuple[Gate, ...]]:
    """Return what is good enough for each request, and what fails the run."""
    if args.max_concurrency is not None and not plan.open_loop:
        most = f"--max-concurrency {args.max_concurrency} alone"
        raise ConfigError("--max-concurrency together with --rate", most, "a closed loop has --parallel")
    if args.slo_attainment is not None and not args.slo:
        alone = f"--slo-attainment {args.slo_attainment:.12g} alone"
        raise ConfigError("--slo-attainment together with --slo", alone, "say what: --slo ttft=300ms")
    if args.slo and args.slo_attainment is None:
        args.slo_attainment = ATTAINMENT
    slo = Slo([parse_term(text) for text in args.slo], args.slo_attainment) if args.slo else None
    if slo is not None and not plan.stream and (timed := [term.name for term in slo.terms if term.name != "latency"]):
        raise ConfigError(
            "--slo latency=TIME with --no-stream", timed[0], "whole answers have no first token and no gaps"
        )
    if args.until_certain and (slo is None or plan.conversations is not None):
        got = "no --slo" if slo is None else "conversations, whose turns do not begin in the order of their numbers"
        raise ConfigError("--until-certain with --slo and single requests", got)
    return slo, parse_gates(args.fail_if, slo=slo is not None)


def _check(args: argparse.Namespace) -> None:
    """Raise ConfigError for an option that is missing or that contradicts another."""
    if args.rate is not None and args.parallel is not None:
        rate, parallel = " ".join(args.rate), " ".join(args.parallel)
        most = f"{parse_parallel(args.parallel).peak:.0f}"
        raise ConfigError(
            "either --rate or --parallel", f"--rate {rate} --parallel {parallel}",
            f"write --rate {rate} --max-concurrency {most}, or --parallel {parallel} alone",
        )  # fmt: skip
    if args.arrivals != DEFAULT_PROCESS and args.rate is None:
        raise ConfigError("--arrivals together with --rate", f"--arrivals {args.arrivals} alone")
    if args.session_echo is not None and args.turns is None:
        raise ConfigError("--session-echo with --turns", "single requests", "say how many turns a conversation has")
    if args.think_time is not None and args.rate is not None and args.turns is None:
        raise ConfigError("--think-time with --turns or --parallel", f"--rate {' '.join(args.rate)} of single requests")
    if args.log_every_n_query is not None and args.log_every_n_query < 1:
        raise ConfigError("--log-every-n-query to be 1 or more", args.log_every_n_query)
    if args.grace is not None and args.duration is None and not _stages_end(args):
        raise ConfigError("--grace together with --duration", f"--grace {args.grace:g} alone")
    for name, length in (("max", args.max_prompt_length), ("min", args.min_prompt_length)):
        if length < 0:
            raise ConfigError(f"--{name}-prompt-length to be 0 or more", length)
    if args.number is not None and args.parallel is not None and _stages_end(args):
        raise ConfigError("either -n or stages of --parallel that end", f"-n {args.number} with them", "leave out -n")
    if args.number is not None and args.number >= ENDLESS:
        raise ConfigError(f"-n to be below {ENDLESS:,}", args.number)
    _check_shard(args)
    if args.append and args.name is None:
        raise ConfigError("--name NAME with --append", next_step="name the run file to continue")
    if args.rate == AT_ONCE and args.duration is not None and args.number is None:
        raise ConfigError("-n N with --rate -1", next_step="say how many requests leave at once")


def _check_shard(args: argparse.Namespace) -> None:
    """Raise ConfigError for what no shard can know of the others, and for a start that is over."""
    if args.shard is not None:
        for option, given in (("--until-certain", args.until_certain), ("--max-tokens-total", args.max_tokens_total)):
            if given:
                raise ConfigError(f"--shard without {option}", option, "no shard knows what the others have counted")
        if args.ray is not None:
            raise ConfigError("either --shard or --ray", "both", "a cluster shares a run by itself")
    if args.per_node < 1:
        raise ConfigError("--per-node to be 1 or more", args.per_node)
    if args.ray is not None and args.workers != 1:
        raise ConfigError("--per-node with --ray", f"--workers {args.workers}", "--per-node says how many on each node")
    if args.start_at is not None and parse_moment(args.start_at) <= SYSTEM.wall_ns(now_ns()):
        raise ConfigError("--start-at with a moment to come", args.start_at, "give each shard the same later one")


def _check_model_of_path(protocol: type[Protocol], args: argparse.Namespace, *, several_models: bool) -> None:
    """Raise ConfigError unless there is one model to write into the path of a URL."""
    if several_models:
        raise ConfigError(
            f"one --model with {protocol.name}", "several", "its URL names the model: make a run for each"
        )
    if args.model is None:
        raise ConfigError(f"--model NAME with {protocol.name}", "none", "its URL names the model")


def _target(url: str, args: argparse.Namespace) -> Target:
    try:
        target = Target.parse(url, args.uds)
    except ConfigError as error:  # it may have a key in it
        raise ConfigError(error.expected, url if not set("?@") & set(url) else "another", error.next_step) from None
    if args.uds is not None:
        return target
    proxy = Proxy.parse(args.proxy) if args.proxy else proxy_for(target.host, tls=target.tls)
    return replace(target, proxy=proxy)


def _model_of(target: Target, args: argparse.Namespace, protocol: type[Protocol]) -> str:
    tls = {"insecure": args.insecure, "ca": args.ca, "certificate": args.cert, "key": args.key}
    return find_model(target, _headers(args, protocol), tls_context(**tls) if target.tls else None)


def _protocol(targets: tuple[Target, ...], otherwise: type[Protocol] | None) -> type[Protocol]:
    """Return the protocol that the URLs name; `otherwise` where they name none."""
    found = [protocol_for_path(target.path.partition("?")[0], otherwise) for target in targets]
    if len(set(found)) > 1:
        names = ", ".join(protocol.name for protocol in found)
        raise ConfigError("URLs of one protocol", names, "name the one for all with --protocol")
    return found[0]


def _headers(args: argparse.Namespace, protocol: type[Protocol]) -> dict[str, str]:
    """Return the headers for every request: those of --headers, and the API key unless they already have its header."""
    given = parse_headers(args.headers)
    key = read_api_key(args.api_key_env, args.api_key_file)
    name, _, form = protocol.authorization.partition(": ")
    if key is None or name.lower() in {header.lower() for header in given}:
        return given
    return {name: form.format(key), **given}


def _levels(args: argparse.Namespace) -> Stages | None:
    """Return the stages of --parallel; None for one level that never ends."""
    levels = None if args.parallel is None else parse_parallel(args.parallel)
    return None if levels is not None and len(levels.stages) == 1 and levels.seconds == inf else levels


def _ends(args: argparse.Namespace) -> float | None:
    """Return after how many seconds nothing more begins: --duration, or the end of stages; None: no time says so."""
    ends = [seconds for seconds in (args.duration, _stages_end(args)) if seconds is not None]
    return min(ends, default=None)


def _stages_end(args: argparse.Namespace) -> float | None:
    """Return after how many seconds the stages of --rate or --parallel are over; None: they are not, or none."""
    for texts, parse in ((args.rate, parse_rate), (args.parallel, parse_parallel)):
        if texts is not None and (seconds := parse(texts).seconds) < inf:
            return seconds
    return None

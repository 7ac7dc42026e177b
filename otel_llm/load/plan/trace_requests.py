"""Requests and moments of a trace: what the options of `--trace` ask for."""

from argparse import Namespace
from array import array
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from otel_llm.errors import ConfigError
from otel_llm.load.asked import LazyRequests
from otel_llm.load.plan.conversations import Conversations
from otel_llm.load.plan.requested import ByTokenizer, Requests
from otel_llm.load.plan.sessions import check_turns, turns_taken
from otel_llm.load.prompts.lazy import Form, GivenPrompts, MadePrompts
from otel_llm.load.prompts.token_text import TokenText
from otel_llm.load.prompts.tokenizers import Tokenizer, load_tokenizer
from otel_llm.load.prompts.wording import messages_of
from otel_llm.wire.protocol import Protocol

if TYPE_CHECKING:
    from otel_llm.load.traces.trace import Trace

__all__ = ["check_trace", "replay"]

_OF_TRACES: Final = ("trace_format", "speedup", "trace_from", "trace_to", "sample")
_NOT_WITH: Final = (
    *("prompt", "dataset", "input_tokens", "output_tokens"),
    *("images", "audio", "video", "parser", "recorded_answers"),
)


def check_trace(args: Namespace, protocol: type[Protocol]) -> None:
    """Raise ConfigError for options that contradict each other, or a number that cannot be."""
    given = [name for name in _OF_TRACES if getattr(args, name) is not None]
    if args.trace is None:
        if given:
            raise ConfigError(f"--trace FILE with --{given[0].removeprefix('trace_').replace('_', '-')}")
        return
    if others := [name.replace("_", "-") for name in _NOT_WITH if getattr(args, name) not in (None, False)]:
        raise ConfigError(f"either --trace or --{others[0]}", "both", "a trace has its own lengths")
    begin, end = _part(args)
    if args.speedup is not None and not 0 < args.speedup < inf:
        raise ConfigError("--speedup to be above 0", args.speedup)
    if args.sample is not None and not 0 < args.sample <= 1:
        raise ConfigError("--sample to be above 0 and at most 1", args.sample)
    if not 0 <= begin < end:
        raise ConfigError("--from to be 0 or more, and before --to", f"{begin:g} to {end:g}")
    check_turns(args, protocol)
    if not protocol.answer_length(1):
        raise ConfigError("a protocol that can ask for the length of an answer", protocol.name)


def replay(args: Namespace, protocol: type[Protocol], parameters: Mapping[str, Any]) -> Requests:
    """Return what the options ask for of a trace, with its moments where no other option says them.

    Raises ConfigError when it cannot be read, or has no such part.
    """
    from otel_llm.load.traces.format import Part
    from otel_llm.load.traces.opening import open_trace  # one module a format: for those who replay one

    whole = open_trace(Path(args.trace).expanduser(), args.trace_format, Part(*_part(args), args.seed))
    timed = args.rate is None and args.parallel is None
    if not whole.timed:
        _check_untimed(args, timed=timed)
    trace = whole
    if args.trace_from is not None or args.trace_to is not None:
        trace = trace.between(*_part(args))
    if args.sample is not None:
        trace = trace.sampled(args.sample, args.seed)
    if args.speedup is not None:
        trace = trace.faster(args.speedup)
    tokenizer = load_tokenizer(args.tokenizer_path) if args.tokenizer_path else None
    stream = not args.no_stream
    form = Form(protocol=protocol, model=args.model, stream=stream, parameters=parameters, tokenizer=tokenizer)
    counts = None if tokenizer is None else ByTokenizer(protocol, tokenizer)
    said = _said(args, whole, trace, timed=timed)
    if args.turns is not None:
        held = _conversations(args, form, trace, TokenText(tokenizer))
        return held._replace(counts=counts, notes=(said, *held.notes), moments=held.moments if timed else None)
    requests, notes = _requests(args, form, trace, tokenizer)
    return Requests(requests, counts, (said, *notes), moments=trace.moments() if timed else None)


def _check_untimed(args: Namespace, *, timed: bool) -> None:
    """Raise ConfigError where the times are asked for of a trace that has none."""
    if timed:
        raise ConfigError(
            "--parallel N or --rate X with a trace without times", args.trace, "a batch task came at once, as one file"
        )
    if given := next((name for name in ("trace_from", "trace_to", "speedup") if getattr(args, name) is not None), None):
        option = given.removeprefix("trace_")
        raise ConfigError(f"a trace with times for --{option}", args.trace, "-n takes the first requests")


def _part(args: Namespace) -> tuple[float, float]:
    """Return from when to when, in seconds of the trace."""
    return args.trace_from or 0.0, inf if args.trace_to is None else args.trace_to


def _requests(
    args: Namespace, form: Form, trace: "Trace", tokenizer: Tokenizer | None
) -> tuple[LazyRequests, tuple[str, ...]]:
    if args.cache_bust and (trace.bodies is not None or len(trace.blocks)):
        raise ConfigError("either --cache-bust or a trace whose prompts share text", "both")
    if trace.bodies is not None:
        prompts = [messages_of(msgspec.json.decode(body)) for body in trace.bodies]
        return GivenPrompts(form, prompts, trace), ()
    text = TokenText(tokenizer)
    made = MadePrompts(form, trace, text, str(args.seed))
    made.make(0)  # a tokenizer by which there is no such text is known before the first request
    return made, text.notes


def _conversations(args: Namespace, form: Form, trace: "Trace", text: TokenText) -> Requests:
    """Return the conversations of a trace. Raises ConfigError where it does not say what waits for what."""
    from otel_llm.load.plan.traced_conversations import TracedConversations, by_session, carried_on

    if trace.links is None or trace.sessions is None:
        raise ConfigError(
            "--turns with a trace that says which request waits for which", args.trace, "go without --turns"
        )
    trace, starts = by_session(trace, trace.sessions, turns_taken(args.turns, args.seed))
    assert trace.links is not None  # noqa: S101  # as before
    first = MadePrompts(form, trace.take(starts[:-1]), text, str(args.seed))
    first.make(0)
    carries = carried_on(trace, trace.links, starts)
    later = MadePrompts(form, trace, text, f"{args.seed} later")
    held = Conversations(TracedConversations(first, later, trace, trace.links, starts, carries))
    anew = int(((np.diff(trace.links.starts) > 0) & (carries < 0)).sum())
    new = f"; begun anew, as no prompt and answer before them fit into their prompts: {anew:,}" if anew else ""
    notes = f"held as {len(first):,} conversations of {len(trace):,} turns{new}", *text.notes
    return Requests(first, None, notes, held, array("q", trace.at_ns[starts[:-1]].tobytes()))


def _said(args: Namespace, whole: "Trace", trace: "Trace", *, timed: bool) -> str:
    """Return the note that says what of the trace is replayed, and when."""
    rows = f"{len(trace):,} of {len(whole):,} requests" if len(trace) < len(whole) else f"{len(whole):,} requests"
    untimed = " not at its times" if whole.timed else ", which have no times of their own"
    when = f" over {trace.at_ns[-1] / 1e9:,.6g} s" if timed else untimed
    fast = f", {args.speedup:g} times as fast" if timed and args.speedup is not None else ""
    left = f"; left out, as they asked or answered nothing: {whole.left_out:,}" if whole.left_out else ""
    return f"replayed {Path(args.trace).name}: {rows}{when}{fast}{left}"

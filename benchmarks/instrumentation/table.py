"""The answers of the probes as tables: each cell is made from what was measured, none is written by hand."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.instrumentation.added import Added, Call
from benchmarks.instrumentation.probe.behaviour import FIRST_MS, GAP_MS, TOKENS
from benchmarks.instrumentation.probe.cost import SMALL
from benchmarks.instrumentation.probe.double import WAYS
from benchmarks.instrumentation.probe.exits import HELD_S, READ

Answers = Mapping[str, Any]
_NOTHING = "–"
_NOISE_BYTES = 200


def rows(lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; the first line is its head."""
    head, *rest = lines
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rest))


def _ms(seconds: float | None) -> str:
    return _NOTHING if seconds is None else f"{seconds * 1e3:.0f} ms"


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _first(answers: Answers, call: str = "stream") -> str:
    first = answers[call]["first"]
    return _NOTHING if first is None else f"{_ms(first[2])}"


def _under(what: str, call: str = "stream") -> Callable[[Answers], str]:
    def name(answers: Answers) -> str:
        found = answers[call][what]
        return _NOTHING if found is None else f"`{found[0]}`"

    return name


def _gaps(answers: Answers) -> str:
    gaps = answers["stream"]["gaps"]
    return _NOTHING if gaps is None else f"{gaps[1]}, longest {_ms(gaps[3])}"


def _pace(answers: Answers) -> str:
    pace = answers["stream"]["pace"]
    return _NOTHING if pace is None else f"{pace[2] / pace[1] * 1e3:.1f} ms"


def _tokens(call: str) -> Callable[[Answers], str]:
    def tokens(answers: Answers) -> str:
        told = answers[call]
        if told["input_tokens"] is None and told["output_tokens"] is None:
            return _NOTHING
        source = ", counted" if told["source"] == "chunks" else ""
        return f"{told['input_tokens'] or _NOTHING} / {told['output_tokens'] or _NOTHING}{source}"

    return tokens


def _span(call: str) -> Callable[[Answers], str]:
    """Return what a way out of a stream looks like: its span's status and outcome, its tokens, whether it was timed."""

    def cell(answers: Answers) -> str:
        told = answers[call]
        if not told["spans"]:
            return "**no span**"
        parts = [told["status"] + (f" `{told['error'].rpartition('.')[2]}`" if told["error"] else "")]
        if told["outcome"]:
            parts.append(told["outcome"])
        parts.append("no tokens" if told["output_tokens"] is None else f"{told['output_tokens']} tokens")
        if told["duration"] is None:
            parts.append("no metrics")
        if told["spans"] > 1:
            parts.append(f"**{told['spans']} spans**")
        return ", ".join(parts)

    return cell


def _error_metric(call: str) -> Callable[[Answers], str]:
    def cell(answers: Answers) -> str:
        told = answers[call]
        return _NOTHING if told["duration"] is None else f"yes, `{told['duration_error']}`"

    return cell


def _kept(answers: Answers) -> str:
    """Return what stays of each stream; a trace and a few buckets more or less are within what a run differs by."""
    kept = answers["kept_bytes"]
    return "none" if kept < _NOISE_BYTES else f"{kept:.0f} B"


def _usage_spans(way: str) -> Callable[[Answers], str]:
    def cell(answers: Answers) -> str:
        spans = answers["usage_spans"][way]
        return _NOTHING if spans is None else f"{spans}" if spans == 1 else f"**{spans}**"

    return cell


BEHAVIOUR: Sequence[tuple[str, Callable[[Answers], str]]] = (
    (f"time to first token, of a role at 0 ms and text at {FIRST_MS} ms", _first),
    ("its metric", _under("first")),
    (f"gaps between tokens, of {TOKENS - 1} of {GAP_MS} ms", _gaps),
    ("their metric", _under("gaps")),
    (f"time per output token, of {GAP_MS} ms", _pace),
    ("time to first token of an answer that was not streamed, of none", lambda a: _first(a, "whole")),
    ("tokens of a stream with usage, in / out, of 33 / 8", _tokens("stream")),
    ("tokens of a stream without usage, of ? / 8", _tokens("no_usage")),
    ("raw response, streamed: of 33 / 8", _tokens("raw")),
    ("refused with 429: a duration metric with its error", _error_metric("refused")),
    ("connection lost after 3 tokens", _span("cut")),
    ("`break`", _span("exit_break")),
    ("`with`, `break`", _span("exit_with_break")),
    ("`close()`", _span("exit_close")),
    ("the consumer raises inside `with`", _span("exit_raise")),
    ("left in a reference cycle, collected", _span("exit_cycle")),
    ("the helper `.stream()`, left early", _span("exit_helper")),
    ("async, `break`", _span("exit_async_break")),
    ("async, `with`, `break`", _span("exit_async_with_break")),
    ("async, task cancelled", _span("exit_cancelled")),
    (
        f"`break`, the object held for {HELD_S * 1e3:.0f} ms more: length of the span, of 40 ms",
        lambda a: _ms(a["exit_held"]["span_s"]),
    ),
    ("`isinstance(stream, openai.Stream)`", lambda a: _yes(a["type_kept"])),
    ("W3C `traceparent` reaches the server", lambda a: _yes(a["traceparent"])),
    ("uninstrumenting restores the very same functions", lambda a: _yes(a["undone"])),
    ("memory that stays for each stream left early", _kept),
    ("switched on without an argument: keeps the prompt's text", lambda a: _yes(a["content"])),
    ("switched on without an argument: asks", lambda a: ", ".join(a["hosts"]) or "nobody"),
    ("says that it has types (`py.typed`)", lambda a: _yes(a["typed"])),
    *((f"spans with usage of one call of anthropic, `{way}`", _usage_spans(way)) for way in WAYS),
)
"""Rows of the table of behaviour; `of` says what is true. In rows of exits READ tokens had come."""


def behaviour(answers: Mapping[str, Answers]) -> str:
    """Return the table of behaviour, a column for each library. Of exits it is true that READ tokens had come."""
    lines = [[f"({READ} tokens had come before an exit)", *answers]]
    lines += [[question, *(cell(told) for told in answers.values())] for question, cell in BEHAVIOUR]
    return rows(lines)


def cost(found: Mapping[str, Mapping[str, Added]]) -> str:
    """Return the table of what is added per chunk, a line for each library."""
    ways = list(next(iter(found.values())))
    lines = [["", *(f"{way}, µs a chunk" for way in ways)]]
    for library, each in found.items():
        lines.append([library, *(f"{a.chunk_us:.2f} ({a.least_us:.2f} to {a.most_us:.2f})" for a in each.values())])
    return rows(lines)


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Return the median of values, with the least and the most."""
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def shares(ours: Sequence[Call], theirs: Sequence[Call]) -> list[float]:
    """Return what part of theirs ours adds, round by round."""
    return [one.added_us / other.added_us for one, other in zip(ours, theirs, strict=True)]


def calls(found: Mapping[str, Sequence[Call]], rival: str) -> str:
    """Return the table of what is added to a whole call, a line for each library."""
    lines = [[f"a call of {SMALL} chunks", "adds, µs", "times the bare client's", f"of what {rival} adds"]]
    for library, each in found.items():
        of_bare = spread([call.times_bare for call in each])
        lines.append([library, spread([c.added_us for c in each], ".0f"), of_bare, spread(shares(each, found[rival]))])
    return rows(lines)


def first(found: Mapping[str, Sequence[Answers]]) -> str:
    """Return the table of the first call of a process beside the nine after it, a line for each library."""
    lines = [
        [
            "first token of the first call, less the median of the nine after it",
            "as it says, ms",
            "as its caller saw, ms",
        ]
    ]
    for library, processes in found.items():
        lines.append([library, *(_later(processes, who) for who in ("says", "waited"))])
    return rows(lines)


def _later(processes: Sequence[Answers], who: str) -> str:
    if any(None in each[who] for each in processes):
        return _NOTHING
    return spread([(each[who][0] - median(each[who][1:])) * 1e3 for each in processes], "+.1f")

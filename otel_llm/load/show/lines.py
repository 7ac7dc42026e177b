"""What there is to say of a run beside its table: what came out, what decides, what explains it.

The answer is plain sentences that stand alone, for whoever reads nothing else; the rest are lines of rich's markup.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.markup import escape

from otel_llm.load.figures.gates import TOLERATED
from otel_llm.load.show.course import course_lines
from otel_llm.load.show.machines import machine_lines
from otel_llm.load.show.rows import interval_text, milliseconds
from otel_llm.load.show.server_table import tail_line
from otel_llm.percentiles import BRIEF, percentile_name
from otel_llm.visible import on_one_line

__all__ = ["answer_of", "first_lines", "lines_of", "load_of", "more_lines"]

_SKIPPED: Final = {
    "turn_failed": "a turn before them failed",
    "turn_cut_off": "a turn before them was cut off",
    "run_over": "the run was over",
}
"""Why turns of conversations were not sent, in words."""
_LEFT_BY: Final = {"cancel": "--cancel", "barge_in": "--barge-in"}
_FEW: Final = 10
_BRIEF: Final = tuple(map(percentile_name, BRIEF))


def load_of(arguments: Mapping[str, Any]) -> str:
    """Return the load that a run was to make, such as `16 requests in parallel`, in stages as they were given."""
    rate, parallel = arguments.get("rate"), arguments.get("parallel") or 1
    if rate is not None:
        return "all requests at once" if rate == -1 else f"{rate} requests/s, whatever came back"
    return "one request at a time" if parallel == 1 else f"{parallel} requests in parallel"


def answer_of(figures: Mapping[str, Any]) -> str:
    """Return what came out of a run, in a few sentences."""
    return " ".join(_sentences(figures))


def _sentences(figures: Mapping[str, Any]) -> Iterator[str]:
    requests = figures["requests"]
    model = figures["run"]["arguments"].get("model") or figures["run"]["name"]
    if not requests["succeeded"]:
        left = "they were left early, as planned" if requests.get("closed_early") else "the run ended before"
        kinds = ", ".join(requests["errors"]) or left
        yield f"{model} answered none of {requests['planned']:,} requests: {kinds}."
        return
    yield f"{model} answered {requests['succeeded']:,} of {requests['planned']:,} requests."
    measure = figures["measures"]["time_to_first_token"]
    what = "first token" if measure["count"] else "answer"
    measure = measure if measure["count"] else figures["measures"]["request_latency"]
    sure = next((name for name in ("p99", "p90") if name not in measure["too_few_for"]), None)
    middle = f"Half of them had their {what} within {milliseconds(measure['p50'])} ms"
    if sure is None:
        yield f"{middle}."
    else:
        interval = interval_text(measure, sure, "ms")
        certain = "" if interval is None else f" (95 % interval {interval})"
        yield f"{middle}, {sure[1:]} % within {milliseconds(measure[sure])} ms{certain}."
    if figures["request_throughput"]:
        rate = f"{figures['request_throughput']:,.4g} requests"
        tokens = figures["output_token_throughput"]
        yield f"That is {rate}{f' and {tokens:,.4g} output tokens' if tokens else ''} a second."
    overload = (figures.get("load") or {}).get("overload")
    if overload and overload["overloaded"]:
        before, after = overload["backlog"]
        who = "This client did not send as fast as asked" if overload["by_client"] else "It did not keep up"
        yield f"{who}: requests without an answer grew from {before:,} to {after:,}, so latencies grow with the run."


def lines_of(report: Mapping[str, Any]) -> list[str]:
    """Return all of them."""
    return [*first_lines(report), *more_lines(report)]


def first_lines(report: Mapping[str, Any]) -> list[str]:
    """Return what decides whether the figures are good, and to be believed: failures, SLO, gates, the client."""
    requests, lines = report["requests"], []
    if requests["errors"]:
        kinds = ", ".join(f"{_kind(kind)} {count:,}" for kind, count in requests["errors"].items())
        lines.append(f"[bold red]failed[/]  {requests['failed']:,} of {requests['planned']:,}: {kinds}")
        samples = report.get("error_samples", {}).items()
        lines += [f"  {escape(f'{_kind(kind)}: {on_one_line(said)}')}" for kind, said in samples]
    if left := requests.get("closed_early"):
        given = report["run"]["arguments"]
        why = " and ".join(words for name, words in _LEFT_BY.items() if given.get(name)) or "--cancel"
        lines.append(f"left early  {left:,} of {requests['planned']:,}, as planned ({why}): in no figure of answers")
    if skipped := requests.get("skipped"):
        reasons = ", ".join(f"{_SKIPPED.get(reason, reason)} {count:,}" for reason, count in skipped.items())
        lines.append(f"[yellow]not sent[/]  {sum(skipped.values()):,} of {requests['planned']:,}: {reasons}")
    if report["slo"]:
        lines += _slo(report["slo"])
    if requests["succeeded"]:
        lines += _gates(report.get("gates", ()))
    if _measured(report):
        lines.append(_verdict(report["client"]))
    return lines


def more_lines(report: Mapping[str, Any]) -> list[str]:
    """Return what explains the figures."""
    requests, tokens, lines = report["requests"], report["tokens"], list[str]()
    if infinite := report["measures"]["corrected_request_latency"].get("infinite"):
        lines.append(f"unanswered requests count as ∞ above: {infinite / requests['planned']:.2%}")
    lines += _throughput(report)
    lines += course_lines(report)
    if tail := report.get("tail"):
        lines.append(tail_line(tail))
    if alike := _alike(report["measures"]["request_latency"]):
        lines.append(alike)
    if tokens["source"]:
        lines.append(f"tokens  {_TOKEN_SOURCE[tokens['source']]}")
    if lengths := report.get("lengths"):
        lines += _lengths(lengths)
    lines += [f"[yellow]note[/]  {escape(on_one_line(note))}" for note in report.get("notes", ())]
    if _measured(report):
        lines += _lateness(report["client"])
    if machines := report.get("machines"):
        lines += machine_lines(machines)
    return lines


def _throughput(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line with the throughputs and their intervals; nothing where there are none."""
    found = []
    for name, unit in (("request_throughput", "requests/s"), ("output_token_throughput", "tokens/s")):
        low, high = report.get("throughput_ci95", {}).get(name, (None, None))
        if report[name] and low is not None:
            found.append(f"{report[name]:,.4g} {unit} [dim]({low:,.4g} – {high:,.4g})[/]")
    if found:
        yield f"throughput  {', '.join(found)}  [dim]with 95 % intervals[/]"


def _alike(latencies: Mapping[str, Any]) -> str | None:
    """Return what says that answers resemble those before them; None where they hardly do."""
    count, independent = latencies["count"], latencies.get("independent", latencies["count"])
    if count < _FEW or independent > count / 2:
        return None
    return f"each answer is like those before it: {count:,} latencies say as much as {independent:,} independent ones"


_TOKEN_SOURCE: Final = {
    "provider": "as the server's usage says",
    "counted": "counted by the given tokenizer",
    "chunks": "[yellow]one per chunk with content[/]: the server sent no usage, and no --tokenizer-path was given",
    "mixed": "[yellow]from different sources[/] from request to request: see token_source in the run file",
}


_WHOSE: Final = {"input": "prompts", "output": "answers"}


def _lengths(lengths: Mapping[str, Any]) -> Iterator[str]:
    if found := [_length(whose, row) for of, whose in _WHOSE.items() if (row := lengths[of])]:
        yield f"lengths  {', '.join(found)}"
    if cached := lengths.get("cached"):
        said = "the server does not say" if cached["said"] is None else f"{cached['said']:.1%} by the server's count"
        yield f"cached prompts  {cached['possible']:.1%} of their tokens had been sent before, {said}"


def _length(whose: str, row: Mapping[str, Any]) -> str:
    """Return what was asked for and what was found, and how far apart they are from request to request."""
    low, high = row["difference"]["min"], row["difference"]["max"]
    apart = "the same" if low == high == 0 else f"{low:+,} each" if low == high else f"{low:+,} to {high:+,}"
    return f"{whose} {row['asked']:,.1f} asked for, {row['found']:,.1f} found [dim]({apart})[/]"


def _kind(kind: str) -> str:
    return f"HTTP {kind}" if kind.isdigit() else escape(on_one_line(kind))


def _slo(slo: Mapping[str, Any]) -> list[str]:
    verdict = "[bold green]met[/]" if slo["met"] else "[bold red]missed[/]"
    terms = ", ".join(f"{name} ≤ {t['limit']:g} s: {_share(t['attainment'])}" for name, t in slo["terms"].items())
    goodput = "-" if slo["goodput"] is None else f"{slo['goodput']:.2f} requests/s"
    return [f"SLO  {verdict} (each term for {slo['required_attainment']:.2%} of requests)  {terms}  goodput {goodput}"]


def _gates(gates: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each gate; nothing for one that nobody asked for and that is passed."""
    for gate in gates:
        if gate["fail_if"] == TOLERATED.text:
            if gate["failed"]:
                yield (
                    f"gate  [bold red]failed[/]  more than 1% of requests failed: {gate['shown']}; "
                    "--fail-if 'error_rate>LIMIT' sets another limit"
                )
        else:
            verdict = "[bold red]failed[/]" if gate["failed"] else "[bold green]passed[/]"
            yield f"gate  {verdict}  fails if {escape(gate['fail_if'])}: it is {gate['shown']}"


def _share(attainment: float | None) -> str:
    return "no answer has it" if attainment is None else f"{attainment:.2%}"


def _lateness(client: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the client's own lateness was, and what is left of a measure without it."""
    if apart := client["inter_token_latency_without_merged"]:
        figures = "  ".join(f"{name} {milliseconds(apart[name])}" for name in _BRIEF)
        yield f"without the {client['merged_reads']:,} merged reads, inter-token latency in ms  {figures}"
    lags = [
        f"{label} {lag['p50'] * 1e3:.3f} / {lag['p99'] * 1e3:.2f} / {lag['max'] * 1e3:.1f}"
        for name, label in (("receive_lag", "receive"), ("loop_lag", "loop"), ("send_lag", "send"))
        if (lag := client[name])
    ]
    if lags:
        yield f"[dim]own lateness, ms p50 / p99 / max:  {'  ·  '.join(lags)}  ·  {client['clock']}[/]"


def _measured(report: Mapping[str, Any]) -> bool:
    """Return whether there is a client to judge: it sent requests, or was the limit before it could."""
    return report["client"] is not None and bool(report["requests"]["sent"] or report["client"]["saturated"])


def _verdict(client: Mapping[str, Any]) -> str:
    windows = client["windows"]
    if client["saturated"]:
        since = windows["first_limited_at"]
        when = "" if since is None else f" (in {windows['limited']} of {windows['total']} s, since second {since:.0f})"
        return f"client-limited: [bold red]yes[/], because {'; '.join(client['reasons'])}{when}"
    some = f", but for {windows['limited']} of {windows['total']} s" if windows["limited"] else ""
    return f"client-limited: [green]no[/]{some}"

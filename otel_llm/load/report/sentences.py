"""What a run comes to, in sentences that stand alone: for whoever reads nothing else."""

from collections.abc import Iterator, Mapping
from typing import Any

from otel_llm.load.report.model import Verdict
from otel_llm.load.show.rows import interval_text, milliseconds
from otel_llm.load.study.loads import Load
from otel_llm.load.study.result import StudyResult

__all__ = ["answer_of", "load_of", "study_answer", "verdict_of"]


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
        kinds = ", ".join(requests["errors"]) or "the run ended before"
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


def study_answer(result: StudyResult) -> str:
    """Return what came out of a study, in a sentence, and what the latencies were at the highest load that was well."""
    said = f"{result.answer[:1].upper()}{result.answer[1:]}."
    name = "verdict" if result.bracket is None else "outcome"
    well = [row for row in result.rows if row[name] in ("ok", "holds")]
    if not well:
        return said
    row = max(well, key=lambda row: row["load"])
    first = row["time_to_first_token"]["p50"] is not None
    measure = row["time_to_first_token" if first else "request_latency"]
    if measure["p99"] is None:
        return said
    times = f"within {milliseconds(measure['p50'])} ms, 99 % within {milliseconds(measure['p99'])} ms"
    what = "first token" if first else "answer"
    return f"{said} At {Load(row['loop'], row['load'])} half of the requests had their {what} {times}."


def verdict_of(client: Mapping[str, Any] | None) -> Verdict:
    """Return what the client says of itself. client: the report's member of that name"""
    if client is None:
        return Verdict(
            "unknown", "Not known whether the client was the limit", "The run was broken off before its end."
        )
    windows = client["windows"]
    if client["saturated"]:
        since = windows["first_limited_at"]
        when = "" if since is None else f", from second {since:.0f} on in {windows['limited']} of {windows['total']} s"
        return Verdict(
            "doubtful", "The client was the limit: the server is better than these figures",
            f"{'; '.join(client['reasons'])}{when}.",
        )  # fmt: skip
    some = f", but for {windows['limited']} of {windows['total']} s" if windows["limited"] else ""
    return Verdict("good", f"The client was not the limit{some}", _lateness(client))


def _lateness(client: Mapping[str, Any]) -> str:
    lag = client["receive_lag"] or client["loop_lag"]
    if lag is None:
        return "These figures are the server's and the network's."
    what = "reads were taken" if client["receive_lag"] else "turns of its loop came"
    return (
        f"These figures are the server's and the network's: 99 % of {what} at most {milliseconds(lag['p99'])} ms late."
    )

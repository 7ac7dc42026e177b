"""What a study comes to, and whether the client was the limit, in sentences that stand alone."""

from collections.abc import Mapping
from typing import Any

from otel_llm.load.report.model import Verdict
from otel_llm.load.show.rows import milliseconds
from otel_llm.load.study.loads import Load
from otel_llm.load.study.result import StudyResult

__all__ = ["study_answer", "verdict_of"]


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

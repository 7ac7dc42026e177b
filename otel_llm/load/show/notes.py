"""What a reader of a report should know before believing it, in plain sentences."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from otel_llm.load.figures.scrutiny import FLAGS
from otel_llm.load.plan.plan import LoadPlan

__all__ = ["notes_of"]

_MANY: Final = 10


def notes_of(plan: LoadPlan, report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the notes on a run, most telling first."""
    requests = report["requests"]
    if report["ended_by"] == "max_errors":
        yield f"stopped after {requests['failed']:,} failures (--max-errors {plan.max_errors})"
    elif report["ended_by"] == "max_tokens_total":
        yield f"began nothing more once {plan.max_tokens:,} tokens were spent (--max-tokens-total)"
    if plan.duration_s is not None:
        cut = requests["cancelled"]
        yield (
            f"began nothing after {plan.duration_s:g} s and waited up to {plan.grace_s:g} s for what was under way: "
            f"{cut:,} requests were cut off"
        )
    if warmed := report["warmup"]:
        yield f"{warmed['requests']:,} warm-up requests before the run are not counted; {warmed['failed']:,} failed"
    if plan.repeats >= _MANY:
        yield (
            f"one prompt is sent {plan.repeats:,} times: a server that caches prefixes answers it faster than it would "
            "users; --cache-bust makes each different"
        )
    for flag, count in report["flags"].items():
        kind = flag.partition(":")[0]
        yield f"{flag}: {count:,} of {requests['sent']:,} requests: {FLAGS.get(kind, 'see the run file')}"

"""What a reader of a report should know before believing it, in plain sentences."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from otel_llm.load.plan.plan import LoadPlan

__all__ = ["FLAGS", "notes_of"]

_MANY: Final = 10

FLAGS: Final[Mapping[str, str]] = {
    "apportioned": "the server's total of tokens was shared over the chunks by the length of their text",
    "hidden_reasoning": "the server billed reasoning tokens that it did not stream; they are left out of the pace",
    "usage_disagrees": "the server's count of output tokens is off by more than a tenth from the tokenizer's",
    "usage_below_chunks": "the server counted fewer output tokens than it sent chunks with content",
    "short": "the answer ended for its length before the tokens that were asked for",
    "no_tokens": "the answer ended well without a single token",
    "not_counted": "the tokens could not be counted",
}
"""Flags of a record, and what each says. They stay in every figure; nothing is dropped."""


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
    if plan.repeats >= _MANY and requests["sent"]:
        yield (
            f"one prompt is sent {plan.repeats:,} times: a server that caches prefixes answers it faster than it would "
            "users; --cache-bust makes each different"
        )
    for flag, count in report["flags"].items():
        kind = flag.partition(":")[0]
        yield f"{flag}: {count:,} of {requests['sent']:,} requests: {FLAGS.get(kind, 'see the run file')}"

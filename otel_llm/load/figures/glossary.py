"""`otel-llm perf --glossary`: what each figure of a report means, taken from the table that computes them."""

import textwrap
from typing import Final

from otel_llm.load.figures.enough import FEWEST, values_needed
from otel_llm.load.figures.flags import FLAGS
from otel_llm.measures import MEASURES

__all__ = ["format_glossary"]

_WIDTH: Final = 100

_RULES: Final = (
    ("first token", "the first event with non-empty text, reasoning or tool content; a role or a usage is none"),
    ("arrival", "when the read that completes an event was received: by the kernel's stamp where the report says so"),
    ("sent", "just before the first byte of the request leaves on an open connection"),
    ("intended", "when an open loop meant to send it, whatever was under way"),
    (
        "tokens",
        (
            "from the server's usage (provider), else from the given tokenizer (counted), else one per chunk with "
            "content (chunks); which one is said wherever they are shown"
        ),
    ),
    ("success", "the answer came whole, with a finish reason where the protocol has one, and without an error inside"),
    ("percentile", "numpy's linear rule; in the block `Benchmarking summary` sorted[int(n * p / 100)]"),
    (
        "95 % interval",
        (
            "of a percentile: by order statistics (binomial) where values are one per request; by the spread between "
            "requests (Woodruff) for gaps, of which a request has many; longer, or none, where values are like those "
            "before them. docs/report.md has the sources"
        ),
    ),
    (
        "n too small",
        (
            f"fewer than ten values lie beyond that percentile, or there are fewer than {FEWEST} in all: p99 takes "
            f"{values_needed(99):,}, p99.9 takes {values_needed(99.9):,}"
        ),
    ),
    ("goodput", "requests per second that meet every term of --slo; a request that failed meets none"),
    (
        "time per output token (summary)",
        "wall time over all output tokens: the document's, which falls with --parallel",
    ),
    ("client-limited", "whether this machine's own lateness reaches into the figures, and where"),
)


def format_glossary() -> str:
    """Return the glossary as text."""
    lines = ["Measures", ""]
    for measure in MEASURES:
        lines += _entry(f"{measure.name} [{measure.unit}]", f"{measure.formula}. None: {measure.undefined}.")
    lines += ["Words", ""]
    for word, meaning in _RULES:
        lines += _entry(word, meaning + ".")
    lines += ["Flags of a request, which stays in the figures", ""]
    for flag, meaning in FLAGS.items():
        lines += _entry(flag, meaning + ".")
    return "\n".join(lines).rstrip() + "\n"


def _entry(word: str, meaning: str) -> list[str]:
    return [f"  {word}", *textwrap.wrap(meaning, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6), ""]

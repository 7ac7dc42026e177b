"""The table of what is measured in each protocol is made of the recorded cases, and stands in docs/protocols.md."""

import json
from pathlib import Path
from typing import Any

from otel_llm.wire.discovery import protocols

CASES = Path(__file__).parent / "cases"
PAGE = Path(__file__).parents[2] / "docs" / "protocols.md"
COUNTS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
COLUMNS = (
    "first token, gaps",
    "tokens of an event",
    "sound",
    "images",
    *(name.replace("_", " ") for name in COUNTS),
    "finish reason",
)


def measured(name: str) -> list[bool]:
    """Return which of the columns some recorded answer of a protocol fills."""
    said: list[dict[str, Any]] = [json.loads(p.read_text("utf-8")) for p in (CASES / name).glob("*/expected.json")]
    streamed = [
        json.loads(p.read_text("utf-8"))
        for wire in ("sse", "ndjson", "event_stream", "websocket")
        for p in (folder.with_name("expected.json") for folder in (CASES / name).glob(f"*/wire.{wire}"))
    ]
    deltas = [delta for answer in streamed for delta in answer["deltas"] if delta]
    content = [delta for delta in deltas if delta[0] in ("text", "reasoning", "tool")]
    return [
        len(content) > 0,
        any(tokens for _, _, tokens in content),
        any(answer.get("audio_s") for answer in said),
        any(delta[0] == "image" for delta in deltas),
        *(any(answer[count] is not None for answer in said) for count in COUNTS),
        any(answer["finish_reasons"] for answer in said),
    ]


def table() -> str:
    head = ["| protocol | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    rows = [f"| `{name}` | " + " | ".join("✓" if has else "-" for has in measured(name)) + " |" for name in protocols()]
    return "\n".join([*head, *rows])


def test_the_page_has_the_table() -> None:
    assert table() in PAGE.read_text("utf-8"), f"expected this table in docs/protocols.md:\n{table()}"

"""What people read uses standard words: pages, help texts, boards and alerts.

Each phrase here was once in them and had to be read twice. Beside it is what to write.
"""

import json
import re
from collections.abc import Iterator

import pytest

from otel_llm.cli import parsers
from tools.site.staging import ROOT

PLAIN = {
    r"under way": "in progress",
    r"whoever": "the person who, or name them",
    r"for who ": "for those who",
    r"of the house": "of your own, ours",
    r"the house ": "the project",
    r"let go of": "garbage-collected, dropped",
    r"booked on": "charged to",
    r"laid over": "merged into",
    r"stands? in no": "is in no",
    r"lies? in a file": "is kept in a file",
    r"begun? nothing": "sent nothing",
    r"twice is as good": "idempotent",
    r"be rid of": "remove",
    r"succeed requests": "requests that succeeded",
}
QUOTES_OTHERS = {"compatibility.md", "CHANGELOG.md", "engines.md"}
"""Pages that quote the words of others, or are a history."""


def texts() -> Iterator[tuple[str, str]]:
    for page in [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md"))]:
        if page.name not in QUOTES_OTHERS:
            yield page.name, page.read_text("utf-8")
    for page in sorted((ROOT / "collector" / "runbooks").glob("*.md")):
        yield page.name, page.read_text("utf-8")
    for name, parser in parsers().items():
        yield f"otel-llm {name} --help", parser.format_help()
    for board in sorted((ROOT / "dashboards" / "grafana").glob("*.json")):
        yield board.name, "\n".join(_said(json.loads(board.read_text("utf-8"))))
    yield "alerts.yaml", (ROOT / "collector" / "rules" / "alerts.yaml").read_text("utf-8")


def _said(node: object) -> Iterator[str]:
    """Yield the titles and descriptions of a board."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("title", "description") and isinstance(value, str):
                yield value
            else:
                yield from _said(value)
    elif isinstance(node, list):
        for each in node:
            yield from _said(each)


TEXTS = list(texts())


@pytest.mark.parametrize(("name", "text"), TEXTS, ids=[name for name, _ in TEXTS])
def test_standard_words_are_used(name: str, text: str) -> None:
    without_code = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    found = {
        re.sub(r"\s+", " ", match[0]): plain
        for phrase, plain in PLAIN.items()
        for match in re.finditer(phrase.replace(" ", r"\s+"), without_code, flags=re.IGNORECASE)
    }
    assert found == {}, f"{name}: write what stands beside it"

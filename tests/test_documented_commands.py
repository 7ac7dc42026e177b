"""Every `otel-llm` command line in a page is accepted by its command: options exist, and values can be read."""

import re
import shlex
from collections.abc import Iterator

import pytest

from otel_llm.cli import parsers
from tools.site.staging import ROOT

PARSERS = parsers()
BLOCK = re.compile(r"^```(?:sh|console)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*otel-llm (.*)$", re.MULTILINE)
LEFT_OUT = {"...", "…"}
ENDS = ("|", "&", "&&", "||", ">", "2>", ";", "#")


def command_lines() -> Iterator[tuple[str, str]]:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for block in BLOCK.findall(page.read_text("utf-8")):
            for line in COMMAND.findall(block.replace("\\\n", " ")):
                yield page.name, line


LINES = list(command_lines())


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page}:{line[:50]}" for page, line in LINES])
def test_a_command_line_of_a_page_is_accepted(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    end = next((place for place, word in enumerate(words) if word.rstrip("0123456789") in ENDS), len(words))
    command, *rest = [word for word in words[:end] if word not in LEFT_OUT]
    _, unknown = PARSERS[command].parse_known_args(rest)
    assert unknown == []


def test_pages_have_commands() -> None:
    assert len(LINES) > 30

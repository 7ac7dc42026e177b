"""The way of a measured call through our modules to the SDK: what docs/architecture.md says, and no longer."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import otel_llm
from tests.telemetry_in_memory import Seen
from tests.traced import modules_crossed

PAGE = (Path(__file__).parents[2] / "docs/architecture.md").read_text("utf-8")


@otel_llm.metrics
def plain(task: str) -> list[str]:
    return task.split()


@otel_llm.metrics
def generator(task: str) -> Iterator[str]:
    yield from task.split()


def call() -> None:
    plain("one two three")


def stream() -> None:
    for _ in generator("one two three"):
        pass


def said(heading: str) -> list[str]:
    """Return the modules in the table under a heading of the page, in order."""
    _, _, below = PAGE.partition(f"### {heading}\n")
    section = re.split(r"\n##", below)[0]
    return ["otel_llm." + name for name in re.findall(r"^\| \d+ \| `([\w.]+)` \|", section, re.MULTILINE)]


@pytest.mark.parametrize(
    ("heading", "drive", "most"), [("A decorated function", call, 12), ("A decorated generator", stream, 13)]
)
def test_a_decorated_call_crosses_the_modules_that_the_page_names(
    seen_live: Seen, heading: str, drive: Callable[[], None], most: int
) -> None:
    drive()  # what a first call makes once: instruments, classes of stand-ins
    crossed = modules_crossed(drive)
    assert crossed == said(heading)
    assert len(crossed) <= most

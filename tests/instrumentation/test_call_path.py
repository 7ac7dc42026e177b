"""The way of a measured call through our modules to the SDK: what docs/architecture.md says, and no longer."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

import otel_llm
from tests.telemetry_in_memory import Seen
from tests.traced import modules_crossed, modules_on_the_page


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


@pytest.mark.parametrize(
    ("heading", "drive", "most"), [("A decorated function", call, 12), ("A decorated generator", stream, 13)]
)
def test_a_decorated_call_crosses_the_modules_that_the_page_names(
    seen_live: Seen, heading: str, drive: Callable[[], None], most: int
) -> None:
    drive()  # what a first call makes once: instruments, classes of stand-ins
    crossed = modules_crossed(drive)
    assert crossed == modules_on_the_page(heading)
    assert len(crossed) <= most


UNHEARD = """
import sys, otel_llm

@otel_llm.metrics(model="m")
def plain(task):
    return task

calls = 0
def count(frame, event, argument):
    global calls
    calls += event in ("call", "c_call")

plain("a")
sys.setprofile(count)
plain("a")
sys.setprofile(None)
print(calls)
"""


def test_a_call_that_no_sdk_hears_of_makes_few_function_calls() -> None:
    """Counted, as time depends on what else the machine does: 92, where a call with an SDK makes 711."""
    said = subprocess.run([sys.executable, "-c", UNHEARD], capture_output=True, text=True, timeout=60, check=True)
    assert int(said.stdout) <= 110

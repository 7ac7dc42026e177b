"""What shows how far a command from Python is: a bar in a notebook or a terminal, moved by the lines that it prints."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from otel_llm.clock import now_ns
from otel_llm.load.show.llmuses_format import fields_of

__all__ = ["shown"]

_UNITS: Final = {"perf": " requests", "sweep": " points", "find": " points"}
_LINE_NS: Final = 1_000_000_000
"""Without a bar, a run prints a line a second."""


@contextmanager
def shown(command: str, total: int | None = None) -> Iterator[Callable[[bytes], None]]:
    """Yield what is to be told of each line: a bar by tqdm where that is installed, lines otherwise.

    total: how many requests there will be, where that is known
    """
    try:
        from tqdm.auto import tqdm
    except ImportError:
        yield _Lines(command)
        return
    with tqdm(desc=command, unit=_UNITS[command], total=total) as bar:
        yield lambda line: _move(bar, command, _text(line))


def _move(bar: Any, command: str, text: str) -> None:
    if command != "perf":
        bar.set_postfix_str(text)
        bar.update()
    elif fields := fields_of(text):
        first = f", first token {fields['time to first token'] * 1e3:.0f} ms" if fields["succeed"] else ""
        bar.set_postfix_str(f"{fields['failed']:.0f} failed{first}")
        bar.update(int(fields["completed"]) - bar.n)


class _Lines:
    """Prints the lines themselves: all of a study, and of a run one a second."""

    def __init__(self, command: str) -> None:
        self._often, self._next_ns = command != "perf", 0

    def __call__(self, line: bytes) -> None:
        if self._often or now_ns() >= self._next_ns:
            self._next_ns = now_ns() + _LINE_NS
            sys.stderr.write(f"{_text(line)}\n")


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").strip()

"""A text file with one prompt a line."""

from collections.abc import Iterator
from pathlib import Path

from otel_llm.load.prompts.reading import read_lines

__all__ = ["prompts"]


def prompts(path: Path | None, seed: int) -> Iterator[str]:
    """Yield each line without its end; blank lines are skipped."""
    return (line for _, line in read_lines(path))

"""Open questions: a JSON object a line, the prompt under `question`, all else ignored (the form of HC3 open_qa)."""

from collections.abc import Iterator
from pathlib import Path

from otel_llm.load.prompts.reading import read_json_lines, text_under

__all__ = ["prompts"]


def prompts(path: Path | None, seed: int) -> Iterator[str]:
    """Yield each question. Raises ConfigError for a line without one."""
    return (text_under(place, item, "question") for place, item in read_json_lines(path))

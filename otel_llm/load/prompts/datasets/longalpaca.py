"""Long instructions: one JSON list of objects, the prompt under `instruction` (the form of LongAlpaca-12k)."""

from collections.abc import Iterator
from pathlib import Path

from otel_llm.load.prompts.reading import read_json_list, text_under

__all__ = ["prompts"]


def prompts(path: Path | None, seed: int) -> Iterator[str]:
    """Yield each instruction. Raises ConfigError for an item without one."""
    return (text_under(place, item, "instruction") for place, item in read_json_list(path))

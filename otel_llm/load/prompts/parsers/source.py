"""What a parser makes requests of."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The options that a parser is given.

    prompt, dataset: a text, or the path of a file; the prompt wins
    min_length, max_length: of a dataset's prompts in characters, exclusive on both sides
    parameters: what --parameters gave, already parsed
    """

    model: str
    prompt: str | None = None
    dataset: str | None = None
    min_length: int = 0
    max_length: int = sys.maxsize
    parameters: Mapping[str, Any] = field(default_factory=dict)

"""What a parser builds its requests from."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The options that a parser is given.

    prompt:                 a text; with one, the dataset is not read
    dataset:                the path of a file
    min_length, max_length: of the dataset's prompts, in characters, exclusive on both sides
    parameters:             the values of --parameters, already parsed
    """

    model: str
    prompt: str | None = None
    dataset: str | None = None
    min_length: int = 0
    max_length: int = sys.maxsize
    parameters: Mapping[str, Any] = field(default_factory=dict)

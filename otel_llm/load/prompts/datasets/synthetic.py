"""Prompts of a chosen size, made from a small vocabulary without a file. All differ; a seed always gives the same."""

import random
from collections.abc import Iterator
from pathlib import Path

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.words import WORDS

__all__ = ["prompts"]


def prompts(
    path: Path | None,
    seed: int,
    *,
    words: str = "100",
    characters: str | None = None,
    spread: str = "0",
    count: str = "1000",
) -> Iterator[str]:
    """Yield `count` prompts of `words` words each, or of exactly `characters` characters when that is given.

    spread: how far a size may differ, as a share: with 0.5, sizes are drawn uniformly from 50 % to 150 %

    Each prompt begins with its number, so that a prefix cache cannot serve one prompt from another.
    Raises ConfigError for an option that is not such a number.
    """
    size, share = _number("characters" if characters else "words", characters or words), _number("spread", spread)
    dice = random.Random(seed)  # noqa: S311  # prompts, not secrets
    for number in range(int(_number("count", count))):
        drawn = max(1, round(dice.uniform(size * (1 - share), size * (1 + share))))
        if characters:
            text = " ".join([f"{number}:", *dice.choices(WORDS, k=drawn // 2 + 1)])
            yield text[:drawn].rstrip() + "." * (drawn - len(text[:drawn].rstrip()))
        else:
            yield " ".join([f"{number}:", *dice.choices(WORDS, k=drawn - 1)])


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if number < 0:
        raise ConfigError(f"a number of 0 or more for the dataset option {name}", value)
    return number

"""Prompts of a chosen size, made from a small vocabulary without a file. All differ; a seed always gives the same."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from otel_llm.errors import ConfigError

__all__ = ["prompts"]

_VOCABULARY: Final = (
    "the a this that each some every no one two river stone garden letter window morning engine paper bridge harbour "
    "child doctor painter baker winter summer music number answer question story colour metal water fire light shadow "
    "small large quiet bright old new slow quick warm cold open closed near far under over between behind before after "
    "sees holds opens turns carries finds keeps gives takes builds reads writes counts measures compares explains asks "
    "and or but because while until where when how why which with without into from to of in on at by for as"
)
_WORDS: Final = tuple(_VOCABULARY.split())


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
            text = " ".join([f"{number}:", *dice.choices(_WORDS, k=drawn // 2 + 1)])
            yield text[:drawn].rstrip() + "." * (drawn - len(text[:drawn].rstrip()))
        else:
            yield " ".join([f"{number}:", *dice.choices(_WORDS, k=drawn - 1)])


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if number < 0:
        raise ConfigError(f"a number of 0 or more for the dataset option {name}", value)
    return number

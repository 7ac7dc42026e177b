"""Several models, or classes of requests, in one run: each session is of one of them, drawn by their weights.

Which one depends on the seed and on the number of the session alone.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import accumulate
from math import inf, nan
from typing import Final

from otel_llm.errors import ConfigError

__all__ = ["Mixture", "parse_models"]

_ZIPF: Final = "zipf:"
_STEEPEST: Final = 10


@dataclass(frozen=True, slots=True)
class Mixture:
    """Models, or classes of requests, with their weights, above 0. models: what each of the classes asks"""

    names: tuple[str, ...]
    weights: tuple[float, ...]
    seed: int
    models: tuple[str, ...] | None = None
    _ends: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ends", tuple(accumulate(self.weights)))

    def pick(self, session: int) -> int:
        """Return which of them a session is of, from 0."""
        digest = blake2b(f"model {self.seed} {session}".encode(), digest_size=7).digest()
        at = bisect_right(self._ends, int.from_bytes(digest) / (1 << 56) * self._ends[-1])
        return min(at, len(self.names) - 1)

    def model(self, session: int) -> str:
        """Return the name of the model that a session asks."""
        return (self.names if self.models is None else self.models)[self.pick(session)]

    def class_of(self, session: int) -> str | None:
        """Return the class of a session; None where models alone are mixed."""
        return None if self.models is None else self.names[self.pick(session)]

    def __str__(self) -> str:
        return "+".join(self.names)


def parse_models(texts: Sequence[str], seed: int) -> Mixture | None:
    """Return the models of MODEL=WEIGHT items, or of zipf:S and models; None of one model, which needs no weight.

    Of zipf:S the model of rank r, the first of which is 1, has the weight 1 / r to the S. Raises ConfigError.
    A message repeats no word without a weight: it may be a key that was meant for another option.
    """
    if len(texts) == 1:
        return None
    ranked = texts[0].startswith(_ZIPF)
    names, weights = (texts[1:], _by_rank(texts)) if ranked else _weighted(texts)
    if len(set(names)) < len(names):
        got = "one of them twice" if ranked else " ".join(texts)
        raise ConfigError("--model to name each model once", got)
    return Mixture(tuple(names), tuple(weights), seed)


def _by_rank(texts: Sequence[str]) -> Sequence[float]:
    try:
        steepness = float(texts[0].removeprefix(_ZIPF))
    except ValueError:
        steepness = nan
    if not 0 <= steepness <= _STEEPEST:
        raise ConfigError(f"--model zipf:S MODEL …, with S from 0 to {_STEEPEST}", texts[0])
    return [rank**-steepness for rank in range(1, len(texts))]


def _weighted(texts: Sequence[str]) -> tuple[Sequence[str], Sequence[float]]:
    names, weights = list[str](), list[float]()
    for text in texts:
        name, _, said = text.rpartition("=")
        try:
            weight = float(said) if name else 0.0
        except ValueError:
            weight = 0.0
        if not 0 < weight < inf:
            raise ConfigError(
                "--model MODEL=WEIGHT for each of several models, with weights above 0", "a word without one",
                "quote what has spaces in it",
            )  # fmt: skip
        names.append(name)
        weights.append(weight)
    return names, weights

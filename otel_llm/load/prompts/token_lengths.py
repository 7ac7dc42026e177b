"""Numbers of tokens as a user states them: one number, a distribution, or a histogram in a file.

    512                 always
    normal:512,128      mean and standard deviation
    lognormal:512,256   mean and standard deviation, of the tokens and not of their logarithm
    uniform:100..900    any of these, both ends included
    histogram:FILE      lengths with their weights: a JSON object {"128": 3, "256": 1}, or lines `128,3`

A draw depends on its key alone, so that every worker and every machine draws the same for the same request.
"""

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from itertools import accumulate
from pathlib import Path
from statistics import NormalDist
from typing import Final

import msgspec

from otel_llm.errors import ConfigError

__all__ = ["MOST", "TokenLengths", "parse_lengths"]

MOST: Final = 10_000_000
"""Tokens that a length may have: what is longer is a mistake."""

_FORMS: Final = "N, normal:MEAN,SD, lognormal:MEAN,SD, uniform:A..B or histogram:FILE"
_STANDARD: Final = NormalDist()
_ROW: Final = re.compile(r"\s*(\d+)\s*[,;\s]\s*([^,;\s]+)\s*")


@dataclass(frozen=True, slots=True)
class TokenLengths:
    """A distribution of lengths. `quantile` takes a share between 0 and 1."""

    said: str
    quantile: Callable[[float], float]

    def draw(self, *key: object) -> int:
        """Return the length for a key: 1 token or more, whatever the distribution says of less."""
        digest = blake2b(repr(key).encode(), digest_size=7).digest()
        return min(max(1, round(self.quantile((int.from_bytes(digest) + 0.5) / (1 << 56)))), MOST)


def parse_lengths(option: str, text: str) -> TokenLengths:
    """Return the lengths that the text states. Raises ConfigError, which names the option."""
    kind, colon, rest = text.partition(":")
    try:
        if not colon:
            return TokenLengths(text, partial(_constant, _whole(text)))
        if kind == "histogram":
            return TokenLengths(text, _read_histogram(Path(rest).expanduser()))
        if kind == "uniform":
            low, high = (_whole(each) for each in rest.split(".."))
            if low <= high:
                return TokenLengths(text, partial(_uniform, low, high))
        elif kind in ("normal", "lognormal"):
            mean, sd = (float(each) for each in rest.split(","))
            if 1 <= mean <= MOST and 0 <= sd <= MOST:
                return TokenLengths(text, partial(_normal if kind == "normal" else _lognormal, mean, sd))
    except ValueError:
        pass
    raise ConfigError(f"{option} as {_FORMS}", text, f"lengths are 1 to {MOST:,} tokens")


def _whole(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MOST:
        raise ValueError(number)
    return number


def _constant(tokens: int, _share: float) -> float:
    return tokens


def _uniform(low: int, high: int, share: float) -> float:
    return low + int(share * (high - low + 1))


def _normal(mean: float, sd: float, share: float) -> float:
    return mean + sd * _STANDARD.inv_cdf(share)


def _lognormal(mean: float, sd: float, share: float) -> float:
    sigma = math.sqrt(math.log1p((sd / mean) ** 2))
    return mean * math.exp(sigma * _STANDARD.inv_cdf(share) - sigma**2 / 2)


def _weighted(lengths: Sequence[int], sums: Sequence[float], share: float) -> float:
    return lengths[bisect_left(sums, share * sums[-1])]


def _read_histogram(path: Path) -> Callable[[float], float]:
    """Return the quantiles of a histogram in a file. Raises ConfigError with the file and the row."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"a histogram of lengths in {path}", error, "give a readable text file") from error
    rows = _of_json(path, text) if text.lstrip().startswith("{") else _of_lines(path, text)
    weights: dict[int, float] = {}
    for place, length, weight in rows:
        try:
            tokens, share = _whole(length), float(weight)
            if not 0 <= share < math.inf:
                raise ValueError(share)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"a length of 1 or more tokens with its weight at {place}", error) from error
        weights[tokens] = weights.get(tokens, 0.0) + share
    if not sum(weights.values()):
        raise ConfigError(f"lengths with weights above 0 in {path}", "none", "write a line LENGTH,WEIGHT for each")
    lengths = sorted(weights)
    return partial(_weighted, lengths, list(accumulate(weights[length] for length in lengths)))


def _of_json(path: Path, text: str) -> Iterable[tuple[str, str, str | float]]:
    try:
        found = msgspec.json.decode(text, type=dict[str, float])
    except msgspec.MsgspecError as error:
        raise ConfigError(f"a JSON object of lengths and weights in {path}", error) from error
    return ((f"{path}, {length!r}", length, weight) for length, weight in found.items())


def _of_lines(path: Path, text: str) -> Iterable[tuple[str, str, str | float]]:
    for number, line in enumerate(text.splitlines(), 1):
        if (row := _ROW.fullmatch(line)) is not None:
            yield f"{path}:{number}", row[1], row[2]
        elif line.strip() and number > 1:  # the first line may name the columns
            raise ConfigError(f"LENGTH,WEIGHT at {path}:{number}", line[:80])

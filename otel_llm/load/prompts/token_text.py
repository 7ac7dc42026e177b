"""Text of so many tokens, always the same for the same key.

It is made of words that the tokenizer has as one token each, so that its length is known without counting, and any
worker or machine makes it in microseconds. Where a tokenizer has no such words, text is grown and trimmed until it has
the length. Without a tokenizer a word is taken for a token, which is near the truth and said to be no more.
"""

from array import array
from functools import lru_cache
from hashlib import blake2b, shake_128
from itertools import accumulate
from typing import Final

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.tokenizers import Tokenizer
from otel_llm.load.prompts.words import WORDS

__all__ = ["TokenText"]

_ENOUGH: Final = 16
_PROBE: Final = 2048
_TRIES: Final = 64
_FILLERS: Final = (" a", ".", ",", "!", " 1", "x", "-", "\n")
_APPROXIMATE: Final = (
    "the lengths of prompts are near what was asked for: a word is taken for a token; --tokenizer-path makes them exact"
)
_OWN: Final = 8
"""Words by which a text differs from all others: one of 256 to the 8th."""

_POOL: Final = 1 << 16


class TokenText:
    """Makes texts for one tokenizer; None: for none.

    notes: what a reader of a report should know of the lengths; none where they are exact
    """

    def __init__(self, tokenizer: Tokenizer | None) -> None:
        self.notes = () if tokenizer is not None else (_APPROXIMATE,)
        single = [word for word in WORDS if tokenizer is None or _is_single(tokenizer, word)]
        self._table = _table(single if len(single) >= _ENOUGH else list(WORDS))
        adds_up = tokenizer is None or tokenizer.count(self.own("probe", _PROBE)[1:]) == _PROBE
        self._counter = None if adds_up else tokenizer
        """What has to count each text; None where the words add up."""

    def own(self, key: str, tokens: int) -> str:
        """Return about `tokens` tokens, with a space before each word; a longer text begins with a shorter one."""
        return _words(self._table, key, tokens)

    def whole(self, pieces: str, tokens: int, key: str) -> str:
        """Return pieces as a text of `tokens` tokens; `key` is of the words that it grows by, where it has to.

        Raises ConfigError when no text that begins so has that length.
        """
        text = pieces[1:]
        return text if self._counter is None else self._fit(text, tokens, key, self._counter)

    def _fit(self, text: str, tokens: int, key: str, tokenizer: Tokenizer) -> str:
        words = text.split(" ")
        spare = iter(self.own(key, tokens).split(" ")[1:])
        each = max(tokenizer.count(text) / len(words), 1e-9)
        seen = set[int]()
        for _ in range(_TRIES):
            over = tokenizer.count(text := " ".join(words)) - tokens
            if over == 0:
                return text
            if len(words) in seen:
                break
            seen.add(len(words))
            step = max(round(abs(over) / each), 1)
            if over > 0:
                words = words[: max(len(words) - step, 0)]
            else:
                words += [word for word, _ in zip(spare, range(step), strict=False)]
        return self._filled(words, tokens, tokenizer)

    def _filled(self, words: list[str], tokens: int, tokenizer: Tokenizer) -> str:
        """Return words, without the last ones where they are too many, with what makes up the last tokens."""
        while words and tokenizer.count(" ".join(words)) > tokens:
            words = words[:-1]
        text = " ".join(words)
        while (missing := tokens - tokenizer.count(text)) > 0:
            one_longer = tokens - missing + 1
            longer = next((each for filler in _FILLERS if tokenizer.count(each := text + filler) == one_longer), None)
            if longer is None:
                raise ConfigError(
                    f"a text of {tokens} tokens by this tokenizer", tokens - missing, "take a length nearby"
                )
            text = longer
        return text


def _is_single(tokenizer: Tokenizer, word: str) -> bool:
    return tokenizer.count(word) == 1 and tokenizer.count(f"{word} {word} {word}") == 3


def _table(words: list[str]) -> tuple[str, ...]:
    """Return 256 words, each with the space before it: one for each value of a byte."""
    return tuple(f" {words[value % len(words)]}" for value in range(256))


def _words(table: tuple[str, ...], key: str, tokens: int) -> str:
    """Return words for a key: the first tell it from every other key, those behind them are a piece of a pool."""
    digest = blake2b(key.encode(), digest_size=_OWN + 4).digest()
    own = "".join(map(table.__getitem__, digest[: min(tokens, _OWN)]))
    return own + _from_pool(table, int.from_bytes(digest[_OWN:]) % _POOL, tokens - _OWN)


def _from_pool(table: tuple[str, ...], at: int, count: int) -> str:
    text, ends = _pool(table)
    pieces = []
    while count > 0:
        part = min(count, _POOL - at)
        pieces.append(text[ends[at] : ends[at + part]])
        count, at = count - part, 0
    return "".join(pieces)


@lru_cache(4)
def _pool(table: tuple[str, ...]) -> "tuple[str, array[int]]":
    """Return a long text, and where each of its words begins: cutting it is faster than joining words."""
    words = [table[value] for value in shake_128(b"pool").digest(_POOL)]
    return "".join(words), array("I", accumulate(map(len, words), initial=0))

"""What vLLM's metrics say of the recordings that it transcribes: more requests than were sent, and fewer tokens.

A recording that is longer than the model hears at once (Whisper: 30 s) is cut at a quiet place of the second before
that, and each piece is a request. Where a request names no language, one more, of a token, finds it out. The `usage` of
a stream has the prompt of the last piece and besides a token for each 10 ms of sound; the metrics have all prompts.
Source: vLLM 0.32, `entrypoints/speech_to_text/base/serving.py`, and the same run on a CPU.
"""

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

__all__ = ["Recordings", "counts_pieces", "explained_tokens"]

_LONGEST_PIECE_S: Final = 30.0
_SHORTEST_PIECE_S: Final = 29.0
_TOKENS_PER_S: Final = 100


class Recordings(NamedTuple):
    """What was transcribed, by the length of each: the pieces that these may be, and the tokens of their sound."""

    number: int = 0
    fewest_pieces: int = 0
    most_pieces: int = 0
    tokens: int = 0

    def plus(self, seconds: float) -> "Recordings":
        return Recordings(
            self.number + 1,
            self.fewest_pieces + math.ceil(seconds / _LONGEST_PIECE_S),
            self.most_pieces + (1 if seconds <= _LONGEST_PIECE_S else math.ceil(seconds / _SHORTEST_PIECE_S)),
            self.tokens + math.ceil(seconds * _TOKENS_PER_S),
        )


def counts_pieces(server: Mapping[str, Any], sent: int, heard: Recordings) -> bool:
    """Return whether the server's requests are the pieces of what was sent, with or without one for each language."""
    if not heard.number or heard.number != sent or {source["engine"] for source in server["sources"]} != {"vllm"}:
        return False
    return any(heard.fewest_pieces <= server["requests"] - asked <= heard.most_pieces for asked in (0, sent))


def explained_tokens(what: str, server: Mapping[str, Any], ours: int, heard: Recordings) -> str | None:
    """Return what the difference of their tokens is; None where it is another."""
    requests, theirs = server["requests"], server[what.replace(" ", "_")]
    if what == "output tokens":
        return "with one of each language that it asked for" if theirs - ours == heard.number else None
    prompts = ours - heard.tokens  # of as many pieces as there are recordings
    by_either = (prompts * (requests - asked) + asked * heard.number for asked in (0, heard.number))
    return "usage has a token for each 10 ms of sound, too" if theirs * heard.number in by_either else None

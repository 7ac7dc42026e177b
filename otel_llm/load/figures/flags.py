"""Flags of a request that is odd. It stays in all figures, and oddities are counted beside them."""

from collections.abc import Mapping
from typing import Final

__all__ = ["FLAGS"]

FLAGS: Final[Mapping[str, str]] = {
    "apportioned": "the server's total of tokens was shared over the chunks by the length of their text",
    "hidden_reasoning": "the server billed reasoning tokens that it did not stream; they are left out of the pace",
    "usage_disagrees": "the server's count of output tokens is off by more than a tenth from the tokenizer's",
    "usage_below_chunks": "the server counted fewer output tokens than it sent chunks with content",
    "short": "the answer ended for its length before the tokens that were asked for",
    "usage_as_characters": "the server counted as many input tokens as characters were sent: it may count those",
    "usage_zero": "the server counted 0 tokens beside text; its usage is left out",
    "usage_refused": "the server's usage holds what is no count (negative, above 100 million, text); it is left out",
    "usage_beyond_answer": "the server billed more tokens than its answer has bytes; the pace is of one a chunk",
    "silent_tokens": "chunks without text count as tokens, as the server's total has it: special ones, half letters",
    "pace_unknown": "tokens came without text behind the last one with text, nobody can tell when; no pace is given",
    "no_text": "tokens were billed, and none of them came with text: there is no first token",
    "malformed": "an event was not as its protocol has it (types, null, half a character); what could be read counts",
    "whole_answer": "a stream was asked for and the answer came in one piece: it has no first token and no pace",
    "no_finish_reason": "the answer ended without a finish reason, but with its bill and its end marker",
    "no_tokens": "the answer ended well without a single token",
    "resent": "the server had closed the kept connection; sent again on a new one, from which all times count",
    "prompt_length": "the prompt has another number of tokens, by the tokenizer, than was asked for",
    "not_counted": "the tokens could not be counted",
}
"""What each flag of a record says."""

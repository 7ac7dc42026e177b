"""How many tokens, and who says so."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.record import OTHER, PADDING, REASONING, TEXT
from otel_llm.tokens import apportion, resolve

K = {"_": PADDING, "t": TEXT, "r": REASONING, "$": OTHER}


def ask(kinds: str, marked: tuple[int, ...] = (), lengths: tuple[int, ...] = (), **given: int | None):
    n = len(kinds)
    counts = given.pop("provider", None)
    return resolve(
        array("B", [K[k] for k in kinds]),
        array("I", marked or (0,) * n),
        array("I", lengths or (1,) * n),
        provider=counts,
        **given,
    )


@pytest.mark.parametrize(
    ("total", "lengths", "shares"),
    [
        (4, [1, 1, 6], [1, 1, 2]),  # one each, the spare one to the longest
        (2, [5, 5, 90], [0, 0, 2]),  # fewer tokens than chunks: no floor of one
        (5, [0, 0], [3, 2]),  # no text at all: equal shares, the first gets the remainder
        (0, [3, 3], [0, 0]),
        (7, [], []),
    ],
)
def test_a_total_is_shared_by_text_length(total: int, lengths: list[int], shares: list[int]) -> None:
    assert apportion(total, lengths) == shares


@given(st.integers(0, 5000), st.lists(st.integers(0, 400), min_size=1, max_size=60))
def test_shares_are_whole_and_sum_to_the_total(total: int, lengths: list[int]) -> None:
    shares = apportion(total, lengths)
    assert sum(shares) == total
    assert min(shares) >= (1 if total >= len(lengths) else 0)


def test_the_provider_is_believed_before_the_tokenizer_and_the_tokenizer_before_the_chunks() -> None:
    assert ask("_tt$", provider=2, counted=9)[1:3] == (2, "provider")
    assert ask("_tt$", counted=2)[1:3] == (2, "counted")
    assert ask("_tt$")[1:3] == (2, "chunks")


def test_one_token_a_chunk_needs_no_apportioning() -> None:
    tokens, total, source, flags = ask("_ttt$", provider=3)
    assert (list(tokens), total, source, flags) == ([0, 1, 1, 1, 0], 3, "provider", ())


def test_a_total_over_fewer_chunks_is_apportioned_and_says_so() -> None:
    tokens, _, _, flags = ask("_tt", lengths=(0, 1, 3), provider=8)
    # one each, then six by length 1 : 3, which is 1.5 : 4.5, the odd one to the first
    assert (list(tokens), flags) == ([0, 3, 5], ("apportioned",))


def test_what_chunks_claim_is_taken_when_it_adds_up_to_the_total() -> None:
    tokens, _, _, flags = ask("tt", marked=(4, 3), lengths=(1, 99), provider=7)
    assert (list(tokens), flags) == ([4, 3], ())


def test_hidden_reasoning_is_billed_but_not_spread_over_the_text() -> None:
    tokens, total, _, flags = ask("tt", provider=52, hidden=50)
    assert (list(tokens), total, flags) == ([1, 1], 52, ("hidden_reasoning",))


def test_reasoning_that_was_streamed_is_not_hidden() -> None:
    tokens, total, _, flags = ask("rt", provider=2, hidden=1)
    assert (list(tokens), total, flags) == ([1, 1], 2, ())


def test_no_content_and_no_count_is_unknown_not_zero() -> None:
    assert ask("_$")[1:3] == (None, None)


def test_a_provider_that_bills_zero_is_believed() -> None:
    assert ask("_$", provider=0)[1:3] == (0, "provider")

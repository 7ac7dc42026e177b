"""More requests than prompts: the prompts start again. (S4.10)"""

import pytest

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.cycle import take


@pytest.mark.parametrize(
    ("number", "items"),
    [(None, "abc"), (0, ""), (2, "ab"), (3, "abc"), (7, "abcabca")],
)
def test_items_of_pass_after_pass_until_the_number_is_there(number: int | None, items: str) -> None:
    assert "".join(take(lambda: iter("abc"), number)) == items


def test_no_more_passes_are_begun_than_are_needed() -> None:
    begun: list[int] = []

    def one_pass() -> "list[str]":
        begun.append(1)
        return ["a", "b"]

    assert list(take(lambda: iter(one_pass()), 2)) == ["a", "b"]
    assert len(begun) == 1


def test_an_empty_pass_is_an_error_and_no_endless_loop() -> None:
    passes = iter(["ab", ""])
    taken = take(lambda: iter(next(passes)), 5)
    assert [next(taken), next(taken)] == ["a", "b"]
    with pytest.raises(
        ConfigError, match=r"expected 5 prompts, got 2; give a dataset that yields the same at every pass"
    ):
        next(taken)

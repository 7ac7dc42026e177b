"""Take any number of items from something that can be iterated again and again."""

import itertools
from collections.abc import Callable, Iterator
from typing import TypeVar

from otel_llm.errors import ConfigError

__all__ = ["take"]

T = TypeVar("T")


def take(one_pass: Callable[[], Iterator[T]], number: int | None) -> Iterator[T]:
    """Yield `number` items, beginning a new pass whenever one ends; with None, the items of one pass.

    Raises ConfigError when a pass yields nothing: the next passes might do so too, without end.
    """
    if number is None:
        yield from one_pass()
        return
    done = 0
    while done < number:
        before = done
        for item in itertools.islice(one_pass(), number - done):
            done += 1
            yield item
        if done == before:
            raise ConfigError(f"{number} prompts", done, "give a dataset that yields the same at every pass")

"""As many items as are wanted out of something that can be passed over again and again."""

import itertools
from collections.abc import Callable, Iterator
from typing import TypeVar

from otel_llm.errors import ConfigError

__all__ = ["take"]

T = TypeVar("T")


def take(one_pass: Callable[[], Iterator[T]], number: int | None) -> Iterator[T]:
    """Yield `number` items, from a new pass whenever one has ended; all of one pass for None.

    Raises ConfigError when a pass yields nothing at all: waiting for it to yield something could last for ever.
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

"""The lengths that were asked for beside those that came: of prompts and of answers, in tokens."""

from array import array
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from otel_llm.load.asked import Asked
from otel_llm.measures import Facts

__all__ = ["LengthsFound"]


class _Pairs:
    """Lengths asked for and found, request by request."""

    def __init__(self) -> None:
        self._asked, self._found = array("q"), array("q")

    def add(self, asked: int | None, found: int | None) -> None:
        if asked is not None and found is not None:
            self._asked.append(asked)
            self._found.append(found)

    def report(self) -> dict[str, Any] | None:
        """Return both means and the difference, found less asked; None where there is nothing to compare."""
        if not self._asked:
            return None
        asked, found = np.array(self._asked), np.array(self._found)
        more = found - asked
        return {
            "count": len(more),
            "asked": float(asked.mean()),
            "found": float(found.mean()),
            "difference": {"min": int(more.min()), "p50": float(np.median(more)), "max": int(more.max())},
        }


class LengthsFound:
    """Collects the lengths of answers that came whole. What is found is the server's count, where it has one."""

    def __init__(self, asked: Callable[[int], Asked]) -> None:
        self._asked = asked
        self._input, self._output = _Pairs(), _Pairs()

    def add(self, facts: Sequence[Facts]) -> None:
        for record in (fact.record for fact in facts if fact.record.ok):
            asked = Asked() if record.index is None else self._asked(record.index)
            self._input.add(asked.input_tokens, record.input_tokens)
            self._output.add(asked.output_tokens, record.output_tokens)

    def report(self) -> dict[str, Any] | None:
        """Return `input` and `output`; None where no lengths were asked for."""
        found = {"input": self._input.report(), "output": self._output.report()}
        return found if any(found.values()) else None

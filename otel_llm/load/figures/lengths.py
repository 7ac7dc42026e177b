"""The lengths that were asked for beside those that came: of prompts and of answers, in tokens."""

from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from otel_llm.load.asked import Asked
from otel_llm.measures import Facts
from otel_llm.record import StreamRecord

__all__ = ["LengthsFound"]

_UNSAID: Final = -1


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


class _Cached:
    """What the server had cached of prompts, beside what it could have: blocks that requests sent before had too."""

    def __init__(self, asked: Callable[[int], Asked]) -> None:
        self._asked = asked
        self._sent_ns, self._index, self._tokens, self._cached = array("q"), array("q"), array("q"), array("q")

    def add(self, record: StreamRecord, index: int) -> None:
        self._sent_ns.append(record.sent_ns)
        self._index.append(index)
        self._tokens.append((record.input_tokens or 0) if record.ok else 0)
        self._cached.append(_UNSAID if record.cached_tokens is None else record.cached_tokens)

    def report(self) -> dict[str, Any] | None:
        """Return both shares of the input tokens; `said` is None where the server says nothing of its cache."""
        tokens, cached = np.array(self._tokens), np.array(self._cached)
        if not tokens.sum() or (possible := self._possible()) is None:
            return None
        says = (cached != _UNSAID) & (tokens > 0)
        said = float(cached[says].sum() / tokens[says].sum()) if says.any() else None
        return {"possible": possible, "said": said}

    def _possible(self) -> float | None:
        """Return the share of asked tokens that requests sent before had too; None where nothing is shared."""
        longest: dict[int, int] = {}
        total = shared = blocks = 0
        for place in np.argsort(self._sent_ns, kind="stable").tolist():
            asked = self._asked(self._index[place])
            left, chain, known = asked.input_tokens or 0, 0, True
            mine = left if self._tokens[place] else 0
            total, blocks = total + mine, blocks + len(asked.blocks)
            for block in asked.blocks:
                size, chain = min(asked.block_tokens, left), hash((chain, block))
                before, left = longest.get(chain, 0), left - size
                shared += min(size, before) if known and mine else 0
                known = known and before >= size
                longest[chain] = max(size, before)
        return shared / total if blocks and total else None


class LengthsFound:
    """Collects the lengths of answers that came whole. What is found is the server's count, where it has one."""

    def __init__(self, asked: Callable[[int], Asked]) -> None:
        self._asked = asked
        self._input, self._output, self._cached = _Pairs(), _Pairs(), _Cached(asked)

    def add(self, facts: Sequence[Facts]) -> None:
        for record in (fact.record for fact in facts if fact.record.index is not None):
            asked = self._asked(index := record.index or 0)
            if record.ok:
                self._input.add(asked.input_tokens, record.input_tokens)
                self._output.add(asked.output_tokens, record.output_tokens)
            if asked.blocks and "unsent" not in record.flags:
                self._cached.add(record, index)

    def report(self) -> dict[str, Any] | None:
        """Return `input`, `output` and `cached`; None where no lengths were asked for."""
        found = {"input": self._input.report(), "output": self._output.report(), "cached": self._cached.report()}
        return found if any(found.values()) else None

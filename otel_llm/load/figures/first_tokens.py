"""Where the first tokens' time went: the means of its parts, of all requests and of the slowest."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from otel_llm.first_token_split import SPLIT
from otel_llm.load.figures.values import Values
from otel_llm.measures import Facts, Floats, percentile, send_lag

__all__ = ["SLOWEST", "FirstTokens"]

SLOWEST: Final = 95
"""The slowest first tokens are those above this percentile."""


class FirstTokens:
    """The splits of requests that succeeded, whose server says something of its time.

    Means are shown since they alone add up: the parts of a percentile belong to different requests. A part that the
    server of a request does not tell counts as 0 there, and is in what is unexplained.
    """

    def __init__(self) -> None:
        self._whole, self._lateness = Values(), Values()
        self._parts = {name: Values() for name in SPLIT}
        self._sources: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._without = 0

    def add(self, facts: Sequence[Facts]) -> None:
        """Take requests that ended."""
        splits = []
        for fact in facts:
            split, record = fact.first_token_split, fact.record
            if not record.ok or fact.time_to_first_token is None:
                continue
            if split is None or record.server is None:
                self._without += 1
                continue
            splits.append(split)
            self._sources.update(record.server.source)
            self._told.update(name for name in SPLIT if getattr(split, name) is not None)
            self._lateness.extend(np.array([max(send_lag(record) or 0.0, 0.0)]))
        self._whole.extend(np.array([split.whole for split in splits]))
        for name in SPLIT:
            self._parts[name].extend(np.array([getattr(split, name) or 0.0 for split in splits]))

    def report(self) -> dict[str, Any] | None:
        """Return the means, s, and who said it; None where no server said anything.

        `told` counts the requests that have each part; `lateness` is this client's own, before it sent the request,
        and in no first token.
        """
        whole = self._whole.all()
        if not len(whole):
            return None
        above = percentile(np.sort(whole), SLOWEST)
        slow = whole >= (above or 0.0)
        parts = {name: values.all() for name, values in self._parts.items()}
        return {
            "requests": len(whole),
            "without": self._without,
            "sources": dict(self._sources),
            "told": {name: self._told[name] for name in SPLIT},
            "mean": _means(whole, parts),
            "slowest": {"requests": int(slow.sum()), "above": above}
            | _means(whole[slow], {name: values[slow] for name, values in parts.items()}),
            "lateness": self._lateness.mean,
        }


def _means(whole: Floats, parts: dict[str, Floats]) -> dict[str, float]:
    return {"whole": float(whole.mean())} | {name: float(values.mean()) for name, values in parts.items()}

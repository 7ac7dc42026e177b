"""Bucket families: the names of sets of bucket edges. Only histograms of one family can be added up edge by edge.

The Collector computes the name from the edges that arrive, so that an engine whose edges an operator set is never
mistaken for one with the default edges. `name` computes the same here.
"""

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from otel_llm import conventions

__all__ = ["STATEMENT", "name", "number"]

_DIGITS: Final = 6

STATEMENT: Final = (
    f'set(datapoint.attributes["{conventions.BUCKET_FAMILY}"], Format("%d.%s", [Len(datapoint.explicit_bounds), '
    f"Substring(SHA1(String(datapoint.explicit_bounds)), 0, {_DIGITS})])) "
    "where metric.type == METRIC_DATA_TYPE_HISTOGRAM"
)
"""What the Collector's transform processor does with every explicit histogram."""


def name(edges: Sequence[float]) -> str:
    """Return the family of these upper edges, without +Inf: how many there are and a digest of their JSON text."""
    text = ",".join(number(edge) for edge in edges)
    # SHA-1, as the Collector has it: this is a label, not a secret
    return f"{len(edges)}.{hashlib.sha1(f'[{text}]'.encode(), usedforsecurity=False).hexdigest()[:_DIGITS]}"


def number(edge: float) -> str:
    """Return an edge as Go's JSON and `le` have it: no exponent above a millionth, no fraction where there is none."""
    if edge != 0 and abs(edge) < 1e-6:
        mantissa, exponent = f"{edge!r}".split("e")
        return f"{mantissa}e{int(exponent)}"
    if edge == int(edge):
        return str(int(edge))
    return f"{Decimal(repr(edge)):f}"

"""Which calls of an application waited for which, told by their spans: an agent's calls one after another, side by side
those of agents beside each other, and what came after all of these.

The spans inside one are taken in the order of time: what began when another had ended waited for it, and what ran at
the same time did not. So a call waits for no call of an agent that ran beside its own.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

__all__ = ["Place", "Times", "places_of"]


class Times(NamedTuple):
    """A span: when it began and ended, Unix time in ns; the span that it is inside, if any; whether it is an agent."""

    began_ns: int
    ended_ns: int
    inside: str | None
    is_agent: bool = False

    @property
    def over_ns(self) -> int:
        """When it was over: after it had begun, also where its clock shows no time between."""
        return max(self.ended_ns, self.began_ns + 1)


class Place(NamedTuple):
    """Where a call stands among the others. after: the calls that it waited for; agent: the span of the agent that made
    it, where that is inside another; None of a call of the outermost"""

    after: list[str]
    agent: str | None


class _Edge(NamedTuple):
    """The calls inside a span that come first, and those that come last."""

    first: Sequence[str]
    last: Sequence[str]


def places_of(spans: Mapping[str, Times], calls: Sequence[str]) -> dict[str, Place]:
    """Return the places of calls. spans: all there are, by name; calls: some of them, none inside another"""
    inside, order = _tree(spans, calls)
    after: dict[str, list[str]] = {call: [] for call in calls}
    edges = dict[str | None, _Edge]()
    for name in reversed(order):  # what is inside a span comes after it
        edges[name] = _Edge((name,), (name,)) if name in after else _in_time(inside[name], spans, edges, after)
    agents = dict[str | None, str | None]()
    for outer in order:
        for name in inside.get(outer, ()):
            # the outermost span is no agent inside another; one with one call inside may be that call by another name
            apart = outer is not None and spans[outer].inside in spans and (
                spans[outer].is_agent or len(inside[outer]) > 1
            )  # fmt: skip
            agents[name] = outer if apart else agents.get(outer)
    return {call: Place(before, agents.get(call)) for call, before in after.items()}


def _tree(
    spans: Mapping[str, Times], calls: Sequence[str]
) -> tuple[Mapping[str | None, Sequence[str]], Sequence[str | None]]:
    """Return the spans that have calls inside them, by what they are inside; and all of these, the outer ones first."""
    inside, seen = defaultdict[str | None, list[str]](list), set[str]()
    for call in calls:
        name: str | None = call
        while name is not None and name not in seen:
            seen.add(name)
            above = spans[name].inside
            inside[above if above in spans else None].append(name)
            name = above if above in spans else None
    order: list[str | None] = [None]
    for name in order:  # grows as it is gone through
        order += inside.get(name, ())
    return inside, order


def _in_time(
    names: Sequence[str], spans: Mapping[str, Times], edges: Mapping[str | None, _Edge], found: dict[str, list[str]]
) -> _Edge:
    """Link the calls of spans that are inside one span, and return the calls at its edges."""
    by_end = sorted(names, key=lambda name: spans[name].over_ns)
    ends = [spans[name].over_ns for name in by_end]
    latest_begin = list(accumulate((spans[name].began_ns for name in by_end), max))
    first, followed = list[str](), set[str]()
    for name in names:
        over = bisect_right(ends, spans[name].began_ns)
        if not over:
            first += edges[name].first
            continue
        # of those that were over, what the last to begin waited for need not be waited for again
        before = by_end[bisect_right(ends, latest_begin[over - 1]) : over]
        followed.update(before)
        for call in edges[name].first:
            found[call] += [last for each in before for last in edges[each].last]
    return _Edge(first, [last for name in names if name not in followed for last in edges[name].last])

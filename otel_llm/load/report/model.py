"""The model of a report: everything that a view shows, computed. A view chooses, arranges and formats, nothing more.

Times are seconds; moments count from when the first request was sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from otel_llm.measures import Floats, Ints

__all__ = ["Distribution", "OverTime", "RunReport", "SlowRequest", "TimelineRow", "Verdict"]


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many values lie between neighbouring edges, counted exactly.

    edges:       float64[n + 1], ascending, seconds; a value at an edge belongs to the part above it
    counts:      int64[n]
    below:       values under the first edge
    beyond:      values at or above the last edge
    at:          percentiles to mark, by name, as the figures of the report have them
    logarithmic: whether the parts are equal on a logarithmic axis
    """

    measure: str
    edges: Floats
    counts: Ints
    below: int
    beyond: int
    at: Mapping[str, float]
    logarithmic: bool

    @property
    def total(self) -> int:
        """All values."""
        return int(self.counts.sum()) + self.below + self.beyond

    @property
    def shares(self) -> Floats:
        """The share of all values below each edge, 0 to 1, float64[n + 1]."""
        found: Floats = np.cumsum([self.below, *self.counts]) / max(self.total, 1)
        return found

    def merged(self, parts: int) -> "Distribution":
        """Return the same distribution with each `parts` neighbours in one; their number must be divisible by it."""
        return Distribution(
            self.measure, self.edges[::parts], self.counts.reshape(-1, parts).sum(axis=1), self.below, self.beyond,
            self.at, self.logarithmic,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class OverTime:
    """A run in equal parts of time, one entry of each array per part.

    starts:                     when each part begins
    succeeded, failed:          requests that ended in it, per second; cut-off ones are in neither
    tokens:                     output tokens that arrived in it, per second
    in_flight:                  requests under way, on average
    first_token, latency:       percentiles (by name) of requests that were sent in it and succeeded, NaN of none
    limited:                    seconds (start, end) in which this client was late itself
    """

    width: float
    starts: Floats
    succeeded: Floats
    failed: Floats
    tokens: Floats
    in_flight: Floats
    first_token: Mapping[str, Floats]
    latency: Mapping[str, Floats]
    limited: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One request: when it was meant to be sent (None in a closed loop), sent, had its first token, ended."""

    index: int
    intended: float | None
    sent: float
    first_token: float | None
    ended: float
    outcome: str
    error: str | None


@dataclass(frozen=True, slots=True)
class SlowRequest:
    """A request that took long, with what leads to its trace."""

    index: int
    sent: float
    time_to_first_token: float | None
    request_latency: float
    output_tokens: int | None
    trace_id: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the client says of itself: whether the figures are the server's."""

    kind: Literal["good", "doubtful", "unknown"]
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run.

    figures:       the report as `--json` writes it (docs/report.schema.json)
    answer:        what came out, in a sentence or two
    command:       the command line that does the same again; None where the run was not made by one
    timeline:      requests in the order in which they were sent: all, or those around the slowest of many
    slowest:       the slowest answers, and the slowest first tokens, slowest first
    """

    figures: Mapping[str, Any]
    title: str
    load: str
    answer: str
    verdict: Verdict
    command: str | None
    distributions: Sequence[Distribution]
    over_time: OverTime | None
    timeline: Sequence[TimelineRow]
    slowest_answers: Sequence[SlowRequest]
    slowest_first_tokens: Sequence[SlowRequest]

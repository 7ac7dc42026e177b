"""What was really sent: the server's log, in the words of a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from otel_llm.measures import Floats
from tests.truthserver.process import first_and_gaps

__all__ = ["Truth", "latencies_of", "truth_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Times in seconds, by the server's own clock: from a request's arrival to the write with its first token, and
    between the writes with tokens of one answer."""

    requests: int
    tokens: int
    packets: int
    packets_per_s: float
    ttft_mean: float
    ttft_p99: float
    itl_p50: float
    itl_p99: float


def truth_of(rows: Sequence[dict[str, Any]]) -> Truth | None:
    """Sum up the rows of one run (see `otel_llm.sim.truth`); None where no answer had a token."""
    answers = [row for row in rows if row["tokens"]]
    if not answers:
        return None
    first, between = first_and_gaps(answers)
    seconds = (max(row["end"] for row in answers) - min(row["recv"] for row in answers)) / 1e9
    packets = sum(row["writes"] for row in answers)
    return Truth(
        requests=len(answers),
        tokens=sum(row["tokens"] for row in answers),
        packets=packets,
        packets_per_s=packets / seconds,
        ttft_mean=float(np.mean(first)),
        ttft_p99=float(np.percentile(first, 99)),
        itl_p50=float(np.percentile(between, 50)),
        itl_p99=float(np.percentile(between, 99)),
    )


def latencies_of(rows: Sequence[dict[str, Any]]) -> Mapping[str, Floats]:
    """Return what the server did, by our measures, in seconds; of answers that had a token."""
    answers = [row for row in rows if row["tokens"]]
    first, gaps = first_and_gaps(answers)
    last = np.array([row["last_token"] - row["first_token"] for row in answers]) / 1e9
    tokens = np.array([row["tokens"] for row in answers])
    return {
        "time_to_first_token": first,
        "inter_token_latency": gaps,
        "time_per_output_token": last[tokens > 1] / (tokens[tokens > 1] - 1),
        "request_latency": np.array([row["end"] - row["recv"] for row in answers]) / 1e9,
    }

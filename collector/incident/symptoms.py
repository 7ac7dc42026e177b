"""What is asked about each service, as PromQL: means of what its time is made of, failures, load, caches, lengths.

Means, because they are exact whatever the bucket edges are, and the parts of a request's time add up in them.
"""

from collections.abc import Sequence
from typing import Final

from otel_llm import conventions
from otel_llm_collector.rule_sources.dimensions import MODEL, SUCCEEDED
from otel_llm_collector.vocabulary.measures import DECODE, ITL, PREFILL, QUEUE, TTFT, Measure
from otel_llm_collector.vocabulary.prometheus_names import CALLS, label_name, series_for

__all__ = [
    "ERROR",
    "FIRST_TOKENS",
    "PARTS",
    "REPLICA",
    "SERVICE",
    "down",
    "failures",
    "fullest",
    "lengths",
    "mean",
    "requests",
]

SERVICE: Final = (
    "job",
    MODEL,
    *map(label_name, (conventions.ENGINE, conventions.VANTAGE, conventions.CLUSTER, conventions.NAMESPACE)),
)
REPLICA: Final = ("instance", label_name(conventions.POD))
ERROR: Final = label_name(conventions.ERROR_TYPE)
PARTS: Final = {"queue": QUEUE, "prefill": PREFILL, "decode": DECODE, "gap": ITL, "first token": TTFT}
"""What a request's time is made of. Gaps stand in for a decode that an engine does not tell, first tokens for both."""
FIRST_TOKENS: Final = f'{{__name__=~"{"|".join(f"{name}(_bucket)?" for name in TTFT.sources())}"}}'
_USERS: Final = f'{label_name(conventions.TRAFFIC)}=""'


def mean(of: Measure, by: Sequence[str], window: str) -> str:
    """Return the mean of a latency by some labels, of requests that succeeded, explicit histogram or exponential."""
    return "\nor\n".join(_mean(name, by, window) for name in of.sources())


def lengths(key: str, by: Sequence[str], window: str) -> str:
    """Return the mean length of prompts or answers."""
    return _mean(series_for(key), by, window)


def _mean(name: str, by: Sequence[str], window: str) -> str:
    chosen, labels = f"{{{SUCCEEDED}, {_USERS}}}[{window}]", ", ".join(by)
    total, count = (f"sum by ({labels}) (rate({name}_{what}{chosen}))" for what in ("sum", "count"))
    native = f"sum by ({labels}) (rate({name}{chosen}))"
    return f"{total} / ({count} > 0)\nor\nhistogram_sum({native}) / (histogram_count({native}) > 0)"


def requests(by: Sequence[str], window: str, matchers: str = "") -> str:
    """Return requests per second, as engines and gateways count them, else as clients do."""
    labels = ", ".join(by)
    server, chosen = series_for("server_requests"), f"{{{', '.join(filter(None, (_USERS, matchers)))}}}[{window}]"
    explicit = (" or ".join(f"rate({name}_count{chosen})" for name in names) for names in CALLS)
    native = (" or ".join(f"histogram_count(rate({name}{chosen}))" for name in names) for names in CALLS)
    rates = (f"rate({server}{chosen})", *explicit, *native)
    return "\nor\n".join(f"sum by ({labels}) ({rate})" for rate in rates)


def failures(by: Sequence[str], window: str) -> str:
    """Return failed requests per second by these labels and by error."""
    apart = f"sum by ({', '.join((*by, ERROR))}) (rate({series_for('server_requests_failed')}[{window}]))"
    told = requests((*by, ERROR), window, f'{ERROR}!=""')
    return f"{told}\nor\n{apart}"


def fullest() -> str:
    """Return how full the key-value cache of each replica is."""
    return f"max by ({', '.join((*SERVICE, *REPLICA))}) ({series_for('server_kv_cache_utilization')})"


def down(lately: str) -> str:
    """Return the targets that do not answer and were engines a while ago."""
    engines = "|".join(series_for(f"server_requests_{what}") for what in ("running", "waiting", "in_flight"))
    seen = f'count by ({", ".join((*SERVICE, "instance"))}) (last_over_time({{__name__=~"{engines}"}}[{lately}]))'
    return f"{seen} and on (job, instance) up == 0"

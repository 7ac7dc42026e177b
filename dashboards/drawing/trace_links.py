"""Links from a panel to the traces of slow calls, in Explore: slower than the value that is clicked, or than promised.

A Tempo is asked for the latency itself, which our spans carry. A Jaeger finds attributes only by their exact value, so
it is asked for calls that took long: one that waited for its first token took at least that long. A gap says nothing of
a call's length; there it is calls longer than promised.
"""

from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from otel_llm import conventions
from otel_llm_collector.vocabulary.measures import DURATION, ITL, TPOT, TTFT, Measure
from otel_llm_dashboards.drawing.links import explore_url

__all__ = ["SERVICE", "promise", "slow_calls"]

SERVICE: Final = "traced"
"""The variable that names the service whose traces a Jaeger is asked for: it answers about one at a time."""
_CLICKED: Final = "${__value.numeric}"

_FIRST_CHUNK: Final = conventions.RESPONSE_TIME_TO_FIRST_CHUNK
_CARRIED: Final = {
    TTFT.name: (conventions.TIME_TO_FIRST_TOKEN, _FIRST_CHUNK),
    "time_to_first_chunk": (_FIRST_CHUNK,),
    ITL.name: (conventions.ITL_MAX,),
    TPOT.name: (conventions.TPOT,),
}
"""The span attributes that hold a latency, the second for spans that lack the first. Others have only a length."""
_GAPS: Final = (ITL.name, TPOT.name, "time_per_output_chunk")


def promise(of: Measure) -> str:
    """Return the variable that holds the promised threshold of a measure, in seconds."""
    return f"slow_{of.name}"


def slow_calls(of: Measure, promised: Measure | None = None) -> list[Builder[models.DashboardLink]]:
    """Return the links of a panel that shows a latency in seconds.

    promised: whose threshold is slow, for panels that have no latency to click on, such as heatmaps
    """
    at_least = f"${{{promise(promised)}}}" if promised else _CLICKED
    waited_for = DURATION if of.name in _GAPS else promised
    long = f"${{{promise(waited_for)}}}" if waited_for else at_least
    what = "slower than promised" if promised else "with at least this value"
    took = f"longer than the promised {waited_for.title}" if waited_for else "at least this long"
    model_call = f"span.{conventions.OPERATION_NAME} != nil"
    slow = " || ".join(f"span.{name} >= {at_least}" for name in _CARRIED.get(of.name, ()))
    traceql = f"{{{slow}}}" if slow else f"{{{model_call} && duration >= {long}s}}"
    return [
        _link(f"Calls {what}, in Tempo", "tempo", {"queryType": "traceql", "query": traceql, "limit": 50}),
        _link(
            f"Calls that took {took}, in Jaeger",
            "jaeger",
            {"queryType": "search", "service": f"${{{SERVICE}}}", "minDuration": f"{long}s", "limit": 50},
        ),
    ]


def _link(title: str, kind: str, query: dict[str, object]) -> Builder[models.DashboardLink]:
    return dashboard.DashboardLink(title).url(explore_url(kind, query)).target_blank(True)

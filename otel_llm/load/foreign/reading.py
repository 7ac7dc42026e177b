"""A file that some other load generator wrote, as a report of ours, with what its figures mean."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from otel_llm.errors import ConfigError
from otel_llm.load.foreign.aiperf import AIPERF, GENAI_PERF
from otel_llm.load.foreign.evalscope import EVALSCOPE
from otel_llm.load.foreign.guidellm import GUIDELLM
from otel_llm.load.foreign.inference_perf import INFERENCE_PERF
from otel_llm.load.foreign.tool import Figures, Tool
from otel_llm.load.foreign.vllm import SGLANG, VLLM

__all__ = ["TOOLS", "report_from"]

TOOLS: Final[Sequence[Tool]] = (AIPERF, GUIDELLM, EVALSCOPE, VLLM, SGLANG, INFERENCE_PERF, GENAI_PERF)

_MEASURES: Final = ("time_to_first_token", "inter_token_latency", "time_per_output_token", "request_latency")
_PERCENTILES: Final = ("p50", "p90", "p99")


def report_from(path: Path) -> Mapping[str, Any] | None:
    """Return a result as a report, as far as it goes; None of a file that no known tool wrote.

    Its member `made_by` has the tool, the lateness that it admits and the meanings of its figures. Nothing has an
    interval. Raises ConfigError where a result lacks what its tool always writes.
    """
    found = _decoded(path)
    tool = next((each for each in TOOLS if isinstance(found, Mapping) and each.recognises(found)), None)
    if tool is None or not isinstance(found, Mapping):
        return None
    try:
        return _report(path, tool, tool.read(path, found))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"a result of {tool.name}", f"{path} ({error!r})") from error


def _decoded(path: Path) -> Any:
    """Return what is in a file of JSON, or in the last line of one of JSON lines.

    By Python's reader, which takes `Infinity` and `NaN` for numbers: Python's writer, and so these tools, write them.
    """
    data = path.read_bytes()
    for text in (data, data.strip().rpartition(b"\n")[2]):
        try:
            return json.loads(text)
        except ValueError:
            continue
    return None


def _report(path: Path, tool: Tool, found: Figures) -> Mapping[str, Any]:
    none = dict.fromkeys(_PERCENTILES)
    measures: dict[str, Any] = {
        name: {**none, "mean": None, **found.measures.get(name, {}), "ci95": dict.fromkeys(_PERCENTILES, (None, None))}
        for name in _MEASURES
    }
    measures["corrected_time_to_first_token"] = {**none, "ci95": {}}
    arguments = {"model": found.model, **found.arguments}
    return {
        "made_by": tool,
        "run": {"name": path.name, "started_at": found.started_at or "", "arguments": arguments},
        "requests": {
            "sent": found.succeeded + (found.failed or 0), "succeeded": found.succeeded, "failed": found.failed or 0,
        },
        "duration": found.duration,
        "measures": measures,
        "request_throughput": found.request_throughput,
        "output_token_throughput": found.output_token_throughput,
        "throughput_ci95": {},
        "client": {"saturated": False, "reasons": []},
    }  # fmt: skip

"""Reads what answers say of the server's own time: in their body, in the shape of each engine, and in their headers.

Sources: vLLM 0.32 and 0.33 (`--enable-per-request-metrics`), llama.cpp's server and Ollama 0.17 were run and compared
with clients; SGLang 0.5 (`--enable-metrics`) and Text Generation Inference were read; Groq and Cerebras by their
documentation. Envoy, Kong, LiteLLM and OpenAI say in a header how long they waited for an answer to begin.
"""

from collections.abc import Mapping
from math import inf
from typing import Any, Final, NamedTuple

__all__ = ["timings_in"]


class _Shape(NamedTuple):
    """Where one engine puts its times: the members that lead there, its units in a second, our names for its own."""

    source: str
    path: tuple[str, ...]
    per_second: float
    names: Mapping[str, str]


_SHAPES: Final = (
    _Shape(
        "vllm", ("metrics",), 1e3,
        # its "time to first token" begins when the request first ran: it is without the queue
        {"queue": "queue_time_ms", "prefill": "time_to_first_token_ms", "decode": "generation_time_ms"},
    ),
    _Shape("llama.cpp", ("timings",), 1e3, {"prefill": "prompt_ms", "decode": "predicted_ms"}),
    _Shape(
        "ollama", (), 1e9,
        {
            "load": "load_duration",
            "prefill": "prompt_eval_duration",
            "decode": "eval_duration",
            "total": "total_duration",
        },
    ),
    # Groq's total is prefill and decode, without the queue: it is none
    _Shape(
        "groq", ("x_groq", "usage"), 1,
        {"queue": "queue_time", "prefill": "prompt_time", "decode": "completion_time"},
    ),
    _Shape("groq", ("usage",), 1, {"queue": "queue_time", "prefill": "prompt_time", "decode": "completion_time"}),
    _Shape(
        "cerebras", ("time_info",), 1,
        {"queue": "queue_time", "prefill": "prompt_time", "decode": "completion_time", "total": "total_time"},
    ),
)  # fmt: skip


def timings_in(answer: Any) -> dict[str, Any] | None:
    """Return what a mapping or an object of an answer says, in whichever shape; None where it says nothing.

    Seconds by the names of `otel_llm.record.ServerTimes`, and `source`.
    """
    for shape in _SHAPES:
        place = answer
        for name in shape.path:
            place = None if place is None else _member(place, name)
        if place is not None and (said := _take(shape, place)) is not None:
            return said
    meta = _member(answer, "meta_info")
    return None if meta is None else _of_sglang(meta)


def _take(shape: _Shape, place: Any) -> dict[str, Any] | None:
    return _said_by(
        shape.source, {o: _number(_member(place, theirs), shape.per_second) for o, theirs in shape.names.items()}
    )


def _said_by(source: str, found: Mapping[str, float | None]) -> dict[str, Any] | None:
    said = {name: value for name, value in found.items() if value is not None and 0 <= value < inf}
    return {"source": (source,), **said} if said else None


def _of_sglang(meta: Any) -> dict[str, Any] | None:
    """Return what SGLang says: durations, and moments of its wall clock, between which the others lie."""
    taken, first, last = (
        _number(_member(meta, name))
        for name in ("request_received_ts", "prefill_finished_ts", "decode_finished_ts")
    )  # fmt: skip
    decode = None if first is None or last is None else last - first
    ran = _number(_member(meta, "inference_time"))  # from when it first ran to its last token
    found = {
        "queue": _number(_member(meta, "queue_time")),
        "prefill": None if ran is None or decode is None else ran - decode,
        "first_token": None if first is None or taken is None else first - taken,
        "decode": decode,
        "total": _number(_member(meta, "e2e_latency")),
    }
    return _said_by("sglang", found)


def _member(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def _number(value: Any, per_second: float = 1) -> float | None:
    return value / per_second if isinstance(value, int | float) and not isinstance(value, bool) else None

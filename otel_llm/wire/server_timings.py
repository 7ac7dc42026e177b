"""Reads what answers say of the server's own time: in their body, in the shape of each engine, and in their headers.

Sources: vLLM 0.32 and 0.33 (`--enable-per-request-metrics`), llama.cpp's server, Ollama 0.17 and SGLang 0.5.23
(`--enable-metrics`) were run and compared with clients; Text Generation Inference, TensorRT-LLM and Dynamo were read;
Groq, Cerebras, NIM 1 and LM Studio by their documentation. Envoy, Kong and OpenAI say in a header how long they waited
for an answer to begin; LiteLLM says how long it took itself.
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
    _Shape(
        "dynamo", ("nvext", "timing"), 1e3,
        {
            "queue": "prefill_wait_time_ms",
            "prefill": "prefill_time_ms",
            "first_token": "ttft_ms",
            "total": "total_time_ms",
        },
    ),
    _Shape("lm_studio", ("stats",), 1, {"first_token": "time_to_first_token", "decode": "generation_time"}),
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


_SGLANG: Final = (
    *("queue_time", "num_retractions", "forward_entry_time", "prefill_finished_time"),
    *("first_token_latency", "e2e_latency"),
)


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
    if (stats := _member(answer, "stats")) is not None:
        return _of_nim(stats)
    meta = _member(answer, "meta_info")
    return None if meta is None else _of_sglang(meta)


def _take(shape: _Shape, place: Any) -> dict[str, Any] | None:
    return _said_by(
        shape.source, {o: _number(_member(place, theirs), shape.per_second) for o, theirs in shape.names.items()}
    )


def _said_by(source: str, found: Mapping[str, float | None]) -> dict[str, Any] | None:
    said = {name: value for name, value in found.items() if value is not None and 0 <= value < inf}
    return {"source": (source,), **said} if said else None


def _of_nim(stats: Any) -> dict[str, Any] | None:
    """Return what NIM 1 says. Its first token counts from when the request first ran: it is a prefill."""
    queue, tokens = _number(_member(stats, "time_in_queue_in_ms"), 1e3), _member(stats, "response_tokens")
    return _said_by("nim", {"queue": queue, "prefill": _number(_member(tokens, "time_to_first_token_in_ms"), 1e3)})


def _of_sglang(meta: Any) -> dict[str, Any] | None:
    """Return what SGLang says: durations, and moments of its wall clock, between which the others lie.

    The queue of a request that was taken back holds every wait of it, and not only the first.
    """
    said = {name: _number(_member(meta, name)) for name in _SGLANG}
    first, total = said["first_token_latency"], said["e2e_latency"]
    found = {
        "queue": None if said["num_retractions"] else said["queue_time"],
        "prefill": _less(said["prefill_finished_time"], said["forward_entry_time"]),
        "first_token": first,
        "decode": _less(total, first),
        "total": total,
    }
    before = _of_earlier_sglang(meta)
    return _said_by("sglang", {name: before.get(name) if value is None else value for name, value in found.items()})


def _of_earlier_sglang(meta: Any) -> dict[str, float | None]:
    """Return the same by the names of 0.5.0 to about 0.5.8."""
    names = ("request_received_ts", "prefill_finished_ts", "decode_finished_ts", "inference_time")
    taken, first, last, ran = (_number(_member(meta, name)) for name in names)
    decode = _less(last, first)  # `ran` is from when it first ran to its last token
    return {"prefill": _less(ran, decode), "first_token": _less(first, taken), "decode": decode}


def _less(whole: float | None, part: float | None) -> float | None:
    return None if whole is None or part is None else whole - part


def _member(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def _number(value: Any, per_second: float = 1) -> float | None:
    return value / per_second if isinstance(value, int | float) and not isinstance(value, bool) else None

"""How engines say what an answer took, each in its own words: the simulator's truth, as they would put it.

Their oddities are theirs: vLLM's time to first token is without the queue, llama.cpp says nothing of a queue, Ollama's
is in its total alone. `tokens` are those of the answer.
"""

from typing import Any

from otel_llm.sim.truth import Took

__all__ = ["llamacpp_times", "ollama_times", "sglang_times", "vllm_times"]

_S = 1e9
_MS = 1e6


def vllm_times(took: Took, tokens: int) -> dict[str, Any]:
    """Return `metrics`, as with `--enable-per-request-metrics`."""
    return {
        "metrics": {
            "time_to_first_token_ms": took.prefill / _MS,
            "generation_time_ms": took.decode / _MS,
            "queue_time_ms": took.queue / _MS,
            "mean_itl_ms": took.decode / _MS / (tokens - 1) if tokens > 1 else None,
            "tokens_per_second": tokens / (took.decode / 1e9) if took.decode else None,
        }
    }


def llamacpp_times(took: Took, tokens: int) -> dict[str, Any]:
    """Return `timings`, as llama-server's last event has them."""
    return {
        "timings": {
            "prompt_ms": took.prefill / _MS,
            "predicted_n": tokens,
            "predicted_ms": took.decode / _MS,
            "predicted_per_token_ms": took.decode / _MS / (tokens - 1) if tokens > 1 else 0.0,
        }
    }


def ollama_times(took: Took, tokens: int) -> dict[str, Any]:
    """Return durations in ns; that of the tokens after the first is left out where there are none."""
    spent = {"eval_duration": took.decode} if tokens > 1 else {}
    return {"total_duration": took.total, "load_duration": 0, "prompt_eval_duration": took.prefill, **spent}


def sglang_times(took: Took) -> dict[str, Any]:
    """Return what `meta_info` has with `--enable-metrics`, in seconds; its moments count from the request's arrival."""
    first = (took.queue + took.prefill) / _S
    return {
        "queue_time": took.queue / _S,
        "num_retractions": 0,
        "forward_entry_time": took.queue / _S,
        "prefill_finished_time": first,
        "first_token_latency": first,
        "e2e_latency": took.total / _S,
    }

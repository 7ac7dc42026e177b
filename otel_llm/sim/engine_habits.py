"""What an engine's page has beside the names, types and edges of its table: labels, and which requests it counts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from otel_llm.sim.truth import LEFT, STOPPED, SentRow

__all__ = ["HABITS", "Counting", "Habits", "outcome_of"]

Counting = Callable[[SentRow], str | None]
"""The labels of the series that counts a request; None: it is not counted."""


@dataclass(frozen=True, slots=True)
class Habits:
    """labels:       on every series; `{model}` is the model's name
    own:          labels of a metric that has these instead
    requests:     which series of a counter of requests counts a request, by the labels it has beside those
    begins:       series of a counter of requests that are there before the first one
    counts_left:  whether a request that its client leaves is among those that ended
    cached_apart: whether prompt tokens from the cache are left out of the prompt tokens
    lacks:        listed metrics that it has only with what is not simulated
    """

    labels: str = ""
    own: Mapping[str, str] = field(default_factory=dict)
    requests: Mapping[str, Counting] = field(default_factory=dict)
    begins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    counts_left: bool = False
    cached_apart: bool = False
    lacks: tuple[str, ...] = ()


def outcome_of(row: SentRow) -> str:
    """Return how a request ended: `refused`, `left`, `failed`, or the reason of an answer's end."""
    if row.status != 200:
        return "refused"
    if row.err in (LEFT, STOPPED):
        return "left"
    return "failed" if row.err or row.fault not in ("", "stall") else row.finish


def _by_outcome(**labels: str) -> Counting:
    """Count a request in the series of its outcome; `ended` stands for both ways in which an answer ends well."""
    both = {"stop": labels["ended"], "length": labels["ended"]} if "ended" in labels else {}
    known = {**both, **labels}
    return lambda row: known.get(outcome_of(row))


def _by_reason(label: str, **others: str) -> Counting:
    """Count a request by why it ended. others: what an outcome is called that is no answer's end"""
    said = {"stop": "stop", "length": "length", **others}
    return _by_outcome(**{outcome: f'{label}="{name}"' for outcome, name in said.items()})


def _by_http(labels: str, *, hundreds: bool = False) -> Counting:
    """Count every HTTP answer by its path and its status, which the labels have room for."""
    return lambda row: labels.format(row.path, f"{row.status // 100}xx" if hundreds else row.status)


_MISTRALRS_STREAM: Final = 'method="POST",path="/v1/chat/completions",model="{model}",status="200"'
_FINISHED: Final = tuple(f'finished_reason="{reason}"' for reason in ("stop", "length", "abort", "error"))

HABITS: Final[Mapping[str, Habits]] = MappingProxyType(
    {
        "dynamo": Habits(
            'model="{model}"',
            requests={
                "dynamo_frontend_requests_total": _by_outcome(
                    ended='endpoint="chat_completions",request_type="stream",status="success",error_type=""',
                    failed='endpoint="chat_completions",request_type="stream",status="error",error_type="internal"',
                    refused='endpoint="chat_completions",request_type="stream",status="error",error_type="overload"',
                )
            },
        ),
        "llamacpp": Habits(cached_apart=True),
        "lmdeploy": Habits(
            'model_name="{model}",engine="0"',
            requests={
                "lmdeploy:request_success_total": _by_reason(
                    "finished_reason", failed="ResponseType.INTERNAL_ENGINE_ERROR", left="ResponseType.CANCEL"
                )
            },
        ),
        "mistralrs": Habits(
            own={
                "http_requests_total": 'method="POST",model="{model}"',
                "http_request_duration_seconds": _MISTRALRS_STREAM,
                "mistralrs_time_to_first_token_seconds": _MISTRALRS_STREAM,
                "mistralrs_inter_token_latency_seconds": _MISTRALRS_STREAM,
            },
            requests={"http_requests_total": _by_http('path="{}",status="{}"')},
            lacks=("mistralrs_prefix_cache_lookups_total", "mistralrs_prefix_cache_hits_total"),
        ),
        "nim": Habits(
            'model_name="{model}"',
            requests={
                "request_success_total": _by_outcome(ended=""),
                "request_failure_total": _by_outcome(failed="", refused=""),
            },
            begins={"request_success_total": ("",), "request_failure_total": ("",)},
        ),
        "sglang": Habits(
            'model_name="{model}",engine_type="unified",tp_rank="0",pp_rank="0",moe_ep_rank="0"',
            own={
                "sglang:http_responses_total": 'method="POST"',
                "sglang:per_stage_req_latency_seconds": (
                    'model_name="{model}",engine_type="unified",tp_rank="0",pp_rank="0",stage="prefill_forward"'
                ),
                "sglang:cached_tokens_total": 'model_name="{model}",engine_type="unified",cache_source="device"',
            },
            requests={
                "sglang:num_requests_total": _by_outcome(ended="", failed="", left=""),
                "sglang:num_aborted_requests_total": _by_outcome(failed="", left=""),
                "sglang:http_responses_total": _by_http('endpoint="{}",status_code="{}"'),
            },
            begins={"sglang:num_requests_total": ("",)},
            counts_left=True,
        ),
        "tensorrt_llm": Habits(
            'model_name="{model}",engine_type="trtllm"',
            requests={
                "trtllm_request_success_total": _by_reason("finished_reason", failed="error"),
                "trtllm_request_error_total": lambda row: None if row.status == 200 else f'http_code="{row.status}"',
            },
        ),
        "tgi": Habits(
            requests={
                "tgi_request_success": _by_outcome(ended=""),
                "tgi_request_failure": _by_outcome(failed='err="generation"', refused='err="overloaded"'),
            },
            begins={"tgi_request_success": ("",)},
        ),
        "triton": Habits(
            'model="{model}",version="1"',
            requests={
                "nv_inference_request_success": _by_outcome(ended="", failed="", left=""),
                "nv_inference_request_failure": _by_outcome(refused='reason="REJECTED"'),
            },
            begins={"nv_inference_request_success": ("",), "nv_inference_request_failure": ('reason="REJECTED"',)},
            counts_left=True,
        ),
        "vllm": Habits(
            'engine="0",model_name="{model}"',
            own={"http_requests_total": 'method="POST"'},
            requests={
                "vllm:request_success_total": _by_reason("finished_reason", failed="error"),
                "http_requests_total": _by_http('handler="{}",status="{}"', hundreds=True),
            },
            begins={"vllm:request_success_total": _FINISHED},
            lacks=("vllm:prompt_tokens_cached_by_source_total", "vllm:admission_rejections_total"),
        ),
    }
)

"""What engines and gateways really expose where a name says otherwise: failures, totals beside parts, aliases."""

from collections.abc import Iterator, Mapping

import pytest

from tests.real.accuracy import RealProgram, collector, fast_prometheus, value
from tests.real.pages import serving
from tools.services import Prometheus
from tools.waiting import until

pytestmark = pytest.mark.timeout(120)

KEY = "sk-of-the-proxy"


def page(kinds: Mapping[str, str], *samples: str) -> str:
    """A page of metrics of these types."""
    types = (f"# TYPE {name} {kind}" for name, kind in kinds.items())
    return "\n".join((*types, *samples, ""))


PAGES = {
    "vllm": page(
        {
            "vllm:request_success_total": "counter",
            "vllm:admission_rejections_total": "counter",
            "http_requests_total": "counter",
            "vllm:num_requests_running": "gauge",
        },
        'vllm:num_requests_running{model_name="m",engine="0"} 3',
        # the production-stack router beside it has the same once more
        'vllm:num_requests_running{server="http://10.0.0.7:8000"} 3',
        'vllm:request_success_total{model_name="m",engine="0",finished_reason="stop"} 75',
        'vllm:request_success_total{model_name="m",engine="0",finished_reason="error"} 5',
        'vllm:request_success_total{model_name="m",engine="0",finished_reason="abort"} 2',
        'vllm:admission_rejections_total{model_name="m",reason="max_num_queued_reqs"} 3',
        'http_requests_total{handler="/v1/chat/completions",method="POST",status="2xx"} 82',
        'http_requests_total{handler="/v1/chat/completions",method="POST",status="4xx"} 7',
        # what a router asks before each request, and is refused
        'http_requests_total{handler="/v1/chat/completions/render",method="POST",status="4xx"} 89',
        'http_requests_total{handler="/metrics",method="GET",status="4xx"} 1',
    ),
    "sglang": page(
        {
            "sglang:num_requests_total": "counter",
            "sglang:num_aborted_requests_total": "counter",
            "sglang:http_responses_total": "counter",
            "sglang:num_running_reqs": "gauge",
            "sglang:num_queue_reqs": "gauge",
        },
        'sglang:num_requests_total{model_name="m",engine_type="unified"} 100',
        'sglang:num_aborted_requests_total{model_name="m",engine_type="unified"} 10',
        'sglang:http_responses_total{endpoint="/v1/chat/completions",method="POST",status_code="200"} 100',
        'sglang:http_responses_total{endpoint="/v1/chat/completions",method="POST",status_code="400"} 4',
        'sglang:http_responses_total{endpoint="/health",method="GET",status_code="503"} 9',
        # two data-parallel ranks of two tensor-parallel ones each; the total stands beside its priorities
        *(
            f'sglang:{name}{{model_name="m",engine_type="unified",dp_rank="{rank // 2}",tp_rank="{rank}",'
            f'pp_rank="0",moe_ep_rank="0",priority="{priority}"}} {count}'
            for rank in range(4)
            for name, counts in (("num_running_reqs", (12, 7, 5)), ("num_queue_reqs", (4, 3, 1)))
            for priority, count in zip(("", "0", "5"), counts, strict=True)
        ),
    ),
    "tensorrt_llm": page(
        {"trtllm_request_success_total": "counter", "trtllm_request_error_total": "counter"},
        'trtllm_request_success_total{model_name="m",engine_type="trtllm",finished_reason="stop"} 90',
        'trtllm_request_success_total{model_name="m",engine_type="trtllm",finished_reason="timeout"} 2',
        'trtllm_request_error_total{model_name="m",engine_type="trtllm",http_code="400"} 8',
    ),
    "tgi": page(
        {"tgi_request_success": "counter", "tgi_request_failure": "counter"},
        "tgi_request_success 9",
        'tgi_request_failure{err="overloaded"} 1',
    ),
    "triton": page(
        {
            "nv_inference_request_success": "counter",
            "nv_inference_request_failure": "counter",
            "nv_trt_llm_kv_cache_block_metrics": "gauge",
        },
        'nv_inference_request_success{model="m",version="1"} 50',
        'nv_inference_request_failure{model="m",version="1",reason="REJECTED"} 40',
        'nv_inference_request_failure{model="m",version="1",reason="CANCELED"} 10',
        *(
            f'nv_trt_llm_kv_cache_block_metrics{{model="m",version="1",kv_cache_block_type="{kind}"}} {count}'
            for kind, count in (("max", 400), ("used", 100), ("tokens_per", 64), ("fraction", 0.25))
        ),
    ),
    "tei": page(
        {"te_request_success": "counter", "te_request_failure": "counter"},
        'te_request_success{method="single"} 7',
        'te_request_success{method="batch"} 2',
        'te_request_failure{err="overloaded"} 3',
    ),
    "lmdeploy": page(
        {"lmdeploy:request_success_total": "counter"},
        'lmdeploy:request_success_total{model_name="m",engine="0",finished_reason="ResponseType.FINISH"} 60',
        'lmdeploy:request_success_total{model_name="m",engine="0",finished_reason="ResponseType.CANCEL"} 3',
        'lmdeploy:request_success_total{model_name="m",engine="0",finished_reason="ResponseType.OUT_OF_MEMORY"} 40',
    ),
    "dynamo": page(
        {
            "dynamo_frontend_requests_total": "counter",
            "dynamo_frontend_inflight_requests": "gauge",
            "dynamo_frontend_queued_requests": "gauge",
        },
        'dynamo_frontend_requests_total{model="m",endpoint="chat",status="success",error_type=""} 60',
        'dynamo_frontend_requests_total{model="m",endpoint="chat",status="error",error_type="internal"} 30',
        'dynamo_frontend_requests_total{model="m",endpoint="chat",status="error",error_type="overload"} 9',
        # a release without the label
        'dynamo_frontend_requests_total{model="m",endpoint="chat",status="error"} 1',
        # a client that left
        'dynamo_frontend_requests_total{model="m",endpoint="chat",status="error",error_type="cancelled"} 8',
        'dynamo_frontend_inflight_requests{model="m"} 10',
        'dynamo_frontend_queued_requests{model="m"} 10',
    ),
    "aibrix": page(
        {
            "gateway_request_model_success_total": "counter",
            "gateway_request_model_fail_total": "counter",
            "gateway_output_tokens_total": "counter",
            "time_to_first_token_seconds": "histogram",
        },
        # a request that ended well, and the stages of it
        'gateway_request_model_success_total{model="m",status="gateway_request_success",status_code="200"} 20',
        'gateway_request_model_success_total{model="m",status="gateway_req_headers",status_code="200"} 27',
        'gateway_request_model_fail_total{model="m",status="gateway_resp_error",status_code="503"} 4',
        'gateway_request_model_fail_total{model="m",status="client_cancelled_eof",status_code="499"} 3',
        *(f'gateway_output_tokens_total{{model="m",pod="{pod}",gateway_pod="g"}} 500' for pod in ("a", "b")),
        # what it repeats of an engine
        'time_to_first_token_seconds_bucket{model="m",pod="a",le="+Inf"} 9',
        'time_to_first_token_seconds_sum{model="m",pod="a"} 9',
        'time_to_first_token_seconds_count{model="m",pod="a"} 9',
    ),
    "smg": page(
        {
            "smg_router_requests_total": "counter",
            "smg_router_request_errors_total": "counter",
            "smg_worker_retries_exhausted_total": "counter",
            "smg_admission_queue_depth": "gauge",
            "smg_admission_inflight": "gauge",
        },
        'smg_router_requests_total{model="m",router_type="http",endpoint="chat",streaming="true"} 50',
        'smg_router_request_errors_total{model="m",router_type="http",endpoint="chat",error_type="no_workers"} 6',
        *(  # with prefill and decode apart it counts a request at both
            f'smg_worker_retries_exhausted_total{{worker_type="{worker}",endpoint="chat"}} {count}'
            for worker, count in (("regular", 5), ("prefill", 3), ("decode", 3))
        ),
        "smg_admission_queue_depth 4",
        "smg_admission_inflight 12",
    ),
    "vllm_router": page(
        {
            "vllm_router_requests_total": "counter",
            "vllm_router_request_errors_total": "counter",
            "vllm_router_retries_exhausted_total": "counter",
        },
        'vllm_router_requests_total{route="/v1/chat/completions"} 40',
        'vllm_router_request_errors_total{route="/v1/chat/completions",error_type="non_retryable_error"} 2',
        # five tries of one request, which is among those that failed at all of them
        'vllm_router_request_errors_total{route="/v1/chat/completions",error_type="no_available_workers"} 5',
        # who asked for the engine's version
        'vllm_router_request_errors_total{route="/version",error_type="backend_error"} 7',
        'vllm_router_retries_exhausted_total{route="/v1/chat/completions"} 3',
    ),
    "ray_serve": page(
        {
            "ray_vllm_request_success_total": "counter",
            "ray_vllm_num_requests_running": "gauge",
            "ray_serve_deployment_queued_queries": "gauge",
        },
        'ray_serve_deployment_queued_queries{application="llm",deployment="LLMServer:m",handle="h"} 11',
        *(
            f'ray_vllm_request_success_total{{model_name="m",engine="0",finished_reason="{reason}",'
            f'ReplicaId="{replica}",WorkerId="{replica}f"}} {count}'
            for replica in ("a", "b")
            for reason, count in (("stop", 30), ("error", 2))
        ),
        *(
            f'ray_vllm_num_requests_running{{model_name="m",engine="0",ReplicaId="{replica}"}} 4'
            for replica in ("a", "b")
        ),
    ),
    "bifrost": page(
        {
            "bifrost_success_requests_total": "counter",
            "bifrost_error_requests_total": "counter",
            "bifrost_cache_read_input_tokens_total": "counter",
            "bifrost_active_requests": "gauge",
        },
        'bifrost_success_requests_total{provider="openai",model="gpt-4o",alias="fast",team_id="a"} 20',
        'bifrost_success_requests_total{provider="openai",model="gpt-4o",alias="fast",team_id="b"} 5',
        'bifrost_success_requests_total{provider="openai",model="gpt-4o",alias="",team_id="b"} 10',
        'bifrost_error_requests_total{provider="openai",model="gpt-4o",alias="fast",error_type="rate_limit"} 4',
        # an older release
        'bifrost_error_requests_total{provider="openai",model="gpt-4o",reason="Rate limit reached for ..."} 1',
        'bifrost_cache_read_input_tokens_total{provider="openai",model="gpt-4o",alias="fast"} 300',
        'bifrost_active_requests{method="chat_completion"} 2',
        'bifrost_active_requests{method="chat_completion_stream"} 3',
    ),
    "litellm": page(
        {
            "litellm_proxy_total_requests_metric_total": "counter",
            "litellm_proxy_failed_requests_metric_total": "counter",
            "litellm_in_flight_requests": "gauge",
            "litellm_input_tokens_metric_total": "counter",
        },
        'litellm_proxy_total_requests_metric_total{requested_model="alias",status_code="200",user="a"} 40',
        'litellm_proxy_total_requests_metric_total{requested_model="alias",status_code="200",user="b"} 20',
        'litellm_proxy_total_requests_metric_total{requested_model="bad",status_code="429",user="a"} 20',
        'litellm_proxy_total_requests_metric_total{requested_model="bad",status_code="None",user="a"} 10',
        'litellm_proxy_failed_requests_metric_total{requested_model="bad",exception_class="RateLimitError"} 30',
        "litellm_in_flight_requests 1",
        'litellm_input_tokens_metric_total{requested_model="alias",model="good",user="a"} 300',
        'litellm_input_tokens_metric_total{requested_model="None",model="plain",user="a"} 7',
    ),
}
ENDED = {
    "smg": {"": 50},
    "vllm_router": {"": 40, "non_retryable_error": 2, "_OTHER": 3},
    "bifrost": {"": 35, "rate_limit": 4, "_OTHER": 1},
    "tei": {"": 9, "overloaded": 3},
    "aibrix": {"": 20, "503": 4},
    "ray_serve": {"": 60, "error": 4},
    "vllm": {"": 77, "error": 5, "max_num_queued_reqs": 3, "4xx": 7},
    "sglang": {"": 100, "400": 4},
    "tensorrt_llm": {"": 90, "timeout": 2, "400": 8},
    "tgi": {"": 9, "overloaded": 1},
    "triton": {"": 50, "REJECTED": 40, "CANCELED": 10},
    "lmdeploy": {"": 63, "ResponseType.OUT_OF_MEMORY": 40},
    "dynamo": {"": 60, "internal": 30, "overload": 9, "error": 1},
    "litellm": {"": 60, "429": 20, "_OTHER": 10},
}
"""Requests that ended, by their error.type."""


@pytest.fixture(scope="module")
def store(real_program: RealProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    data = tmp_path_factory.mktemp("pages")
    with (
        fast_prometheus(real_program("prometheus"), data / "prometheus") as prometheus,
        serving(PAGES, {"litellm": KEY}) as variables,
    ):
        told = {
            **variables,
            "LITELLM_AUTHORIZATION": f"{{credentials: {KEY}}}",
            "DEPLOYMENT_ENVIRONMENT": "production",
        }
        with collector(real_program("otelcol"), data / "otelcol", prometheus, list(PAGES), told) as part:
            up = "count(up == 1)"
            assert until(lambda: prometheus.query(up) and value(prometheus, up) == len(PAGES) + 1, 30), part.log_tail()
            recorded = 'count({__name__=~"otel_llm:requests_(running|waiting):sum", job=~"dynamo|sglang"})'
            assert until(lambda: prometheus.query(recorded) and value(prometheus, recorded) == 4, 20)
            yield prometheus


def by(label: str, store: Prometheus, expression: str) -> dict[str, float]:
    return {each["metric"].get(label, ""): float(each["value"][1]) for each in store.query(expression)}


@pytest.mark.parametrize("name", ENDED)
def test_failures_have_their_type(name: str, store: Prometheus) -> None:
    ended = f'sum by (error_type) (otel_llm_server_requests_total{{job="{name}"}})'
    assert by("error_type", store, ended) == ENDED[name]


def test_failures_counted_beside_all_requests_are_no_more_requests(store: Prometheus) -> None:
    apart = "otel_llm_server_requests_failed_total"
    assert by("error_type", store, f'{apart}{{job="sglang"}}') == {"abort": 10}
    assert by("error_type", store, f'{apart}{{job="smg"}}') == {"no_workers": 6, "_OTHER": 8}


def test_total_is_not_added_to_its_priorities_nor_ranks_that_share_a_request(store: Prometheus) -> None:
    assert value(store, 'otel_llm:requests_running:sum{job="sglang"}') == 2 * 12
    assert value(store, 'otel_llm:requests_waiting:sum{job="sglang"}') == 2 * 4
    ranks = by("otel_llm_engine_rank", store, 'otel_llm_server_requests_running{job="sglang"}')
    assert ranks == {"0": 12, "1": 12}


def test_router_that_repeats_an_engines_load_is_not_another_engine(store: Prometheus) -> None:
    assert value(store, 'sum(otel_llm_server_requests_running{job="vllm"})') == 3


def test_replicas_on_one_page_of_ray_are_ranks(store: Prometheus) -> None:
    ranks = by("otel_llm_engine_rank", store, 'otel_llm_server_requests_running{job="ray_serve"}')
    assert ranks == {"a": 4, "b": 4}


def test_requests_in_flight_of_all_kinds_are_added(store: Prometheus) -> None:
    assert value(store, 'otel_llm_server_requests_in_flight{job="bifrost"}') == 5


def test_requests_in_flight_are_not_all_running(store: Prometheus) -> None:
    assert value(store, 'otel_llm:requests_running:sum{job="dynamo"}') == 0
    assert value(store, 'otel_llm:requests_waiting:ratio{job="dynamo"}') == 1


def test_share_of_the_cache_is_taken_from_a_metric_of_many_things(store: Prometheus) -> None:
    assert value(store, 'otel_llm_server_kv_cache_utilization_ratio{job="triton"}') == 0.25
    assert len(store.query('otel_llm_server_kv_cache_utilization_ratio{job="triton"}')) == 1


def test_what_a_gateway_repeats_of_engines_is_not_taken(store: Prometheus) -> None:
    assert value(store, 'otel_llm_server_generation_tokens_total{job="aibrix"}') == 1000
    assert store.query('{__name__=~".*time_to_first_token.*", job="aibrix"}') == []


def test_gateway_with_a_queue_tells_what_waits_in_it(store: Prometheus) -> None:
    load = 'otel_llm_server_requests_{}{{job="smg"}}'
    assert [value(store, load.format(name)) for name in ("waiting", "running")] == [4, 12]


def test_queue_before_a_replica_of_ray_passes_as_it_is(store: Prometheus) -> None:
    assert value(store, 'ray_serve_deployment_queued_queries{job="ray_serve", deployment="LLMServer:m"}') == 11


def test_model_of_a_gateway_is_the_one_that_was_asked_for(store: Prometheus) -> None:
    asked = "sum by (gen_ai_request_model) (otel_llm_server_requests_total{job='bifrost'})"
    assert by("gen_ai_request_model", store, asked) == {"fast": 29, "gpt-4o": 11}
    cached = by("gen_ai_request_model", store, 'otel_llm_server_prompt_cached_tokens_total{job="bifrost"}')
    assert cached == {"fast": 300}
    tokens = by("gen_ai_request_model", store, 'otel_llm_server_prompt_tokens_total{job="litellm"}')
    assert tokens == {"alias": 300, "plain": 7}
    failed = by("gen_ai_request_model", store, 'otel_llm_server_requests_total{job="litellm", error_type="429"}')
    assert failed == {"bad": 20}


def test_gateways_work_on_other_requests_is_no_load(store: Prometheus) -> None:
    assert store.query('{__name__=~"otel_llm_server_requests_(running|in_flight|waiting)", job="litellm"}') == []


def test_every_series_of_an_engine_has_the_environment(store: Prometheus) -> None:
    for name in PAGES:
        found = store.query(f'{{job="{name}", __name__=~"(gen_ai|otel_llm)_.+"}}')
        assert found
        assert {each["metric"].get("deployment_environment_name") for each in found} == {"production"}

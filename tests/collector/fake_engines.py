"""Engines' /metrics with the names and edges of their released source, and values of which the truth is known.

`FakeEngines` serves them on loopback; `add` draws values, so that a test decides when time passes.
"""

import http.server
import itertools
import math
import operator
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Self

import numpy as np

TTFT = (
    0.001,
    0.005,
    0.01,
    0.02,
    0.04,
    0.06,
    0.08,
    0.1,
    0.25,
    0.5,
    0.75,
    1,
    2.5,
    5,
    7.5,
    10,
    20,
    40,
    80,
    160,
    640,
    2560,
)
ITL = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)
LATENCY = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680)
SGLANG_TTFT = (0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400)
SGLANG_ITL = (
    0.002,
    0.004,
    0.006,
    0.008,
    0.01,
    0.015,
    0.02,
    0.025,
    0.03,
    0.035,
    0.04,
    0.06,
    0.08,
    0.1,
    0.2,
    0.4,
    0.6,
    0.8,
    1,
    2,
    4,
    6,
    8,
)
SGLANG_QUEUE = (
    0,
    0.001,
    0.005,
    0.01,
    0.05,
    0.1,
    0.2,
    0.5,
    1,
    2,
    3,
    4,
    5,
    *range(10, 20, 5),
    *range(20, 100, 10),
    *range(100, 1000, 100),
    *range(1000, 2000, 200),
    2000,
    2500,
    3000,
)
SGLANG_LATENCY = (0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400, 600, 1200, 1800, 2400)
TGI = tuple(itertools.accumulate([0.0001] + [1.5] * 35, operator.mul))[1:]
LITELLM = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 420, 600)
DYNAMO = (0, 0.0022, 0.0047, 0.01, 0.022, 0.047, 0.1, 0.22, 0.47, 1, 2.2, 4.7, 10, 22, 48, 100, 220, 480)
DYNAMO_ITL = (
    *(0, 0.0018, 0.0033, 0.0059, 0.011, 0.02, 0.035, 0.064, 0.12, 0.21),
    *(0.38, 0.69, 1.2, 2.3, 4.1, 7.4, 13, 24, 44, 80),
)
DYNAMO_DURATION = (0, 2, 4, 8, 16, 32, 64, 130, 260, 510)
LMDEPLOY_ITL = (0.005, *ITL)
SGLANG_STAGE = tuple(0.001 * 1.62**power for power in range(30))
TRANSFER = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 5)
LENGTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


EPP_TTFT = (
    *(0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6),
    *(8, 10, 15, 20, 30, 45, 60, 120),
)
EPP_TPOT = (
    *(0.0005, 0.00205, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.125, 0.15, 0.2),
    *(0.3, 0.4, 0.5, 0.6, 0.8, 1, 2),
)
EPP_LATENCY = (*EPP_TTFT, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600)

MISTRALRS_HTTP = (
    *(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
    *(600, 1200),
)
BIFROST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 45, 60, 90, 120, 180, 300, 600, 900)
BIFROST_FIRST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)


class Histogram:
    """A cumulative histogram as a client library keeps it, and every value it was given."""

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = edges
        self.values: list[float] = []

    def lines(self, name: str, labels: str) -> Iterator[str]:
        values = np.sort(np.asarray(self.values))
        yield f"# TYPE {name} histogram"
        for edge in (*self.edges, math.inf):
            le = "+Inf" if edge == math.inf else repr(float(edge))
            both = f'{labels},le="{le}"' if labels else f'le="{le}"'
            yield f"{name}_bucket{{{both}}} {np.searchsorted(values, edge, side='right')}"
        shown = f"{{{labels}}}" if labels else ""
        yield f"{name}_sum{shown} {values.sum()}"
        yield f"{name}_count{shown} {len(values)}"


class Exposition:
    """One engine's page."""

    def __init__(
        self,
        labels: str,
        histograms: dict[str, Sequence[float]],
        others: dict[str, str],
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.labels, self.others = labels, others
        self.more = more  # labels that one metric has beside the others
        self.histograms = {name: Histogram(edges) for name, edges in histograms.items()}
        self.count = 0

    def text(self) -> str:
        lines = [line for name, it in self.histograms.items() for line in it.lines(name, self._labels(name))]
        for name, kind in self.others.items():
            value, labels = self.count if kind == "counter" else 0.42, self._labels(name)
            lines += [f"# TYPE {name} {kind}", f"{name}{{{labels}}} {value}" if labels else f"{name} {value}"]
        return "\n".join((*lines, ""))

    def _labels(self, name: str) -> str:
        return ",".join(filter(None, (self.labels, self.more.get(name, ""))))


def pages() -> dict[str, Exposition]:
    """Every engine, empty."""
    return _pages() | {"ray_serve": _as_ray_has_it(_pages()["vllm"])}


def _as_ray_has_it(vllm: Exposition) -> Exposition:
    """Return a page of vLLM with the names and labels that Ray gives it."""

    def named(name: str) -> str:
        return name.replace("vllm:", "ray_vllm_")

    labels = (vllm.labels, 'ReplicaId="3xk1",WorkerId="f00",NodeAddress="10.0.0.1",SessionName="s",Version="2.60.0"')
    return Exposition(
        ",".join(labels),
        {named(name): histogram.edges for name, histogram in vllm.histograms.items()},
        {named(name): kind for name, kind in vllm.others.items()},
        {named(name): more for name, more in vllm.more.items()},
    )


def _pages() -> dict[str, Exposition]:
    return {
        "vllm": Exposition(
            'model_name="llama-8b",engine="0"',
            {
                "vllm:time_to_first_token_seconds": TTFT,
                "vllm:inter_token_latency_seconds": ITL,
                "vllm:request_time_per_output_token_seconds": ITL,
                "vllm:e2e_request_latency_seconds": LATENCY,
                "vllm:request_queue_time_seconds": LATENCY,
                "vllm:request_prefill_time_seconds": LATENCY,
                "vllm:request_decode_time_seconds": LATENCY,
                "vllm:request_inference_time_seconds": LATENCY,
                "vllm:request_prompt_tokens": LENGTHS,
                "vllm:request_generation_tokens": LENGTHS,
                "vllm:nixl_xfer_time_seconds": TRANSFER,
                "vllm:iteration_tokens_total": (1, 8, 16, 32, 64, 128, 256),
            },
            dict.fromkeys(
                ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"), "gauge"
            )
            | dict.fromkeys(
                (
                    "vllm:prefix_cache_queries_total",
                    "vllm:prefix_cache_hits_total",
                    "vllm:num_preemptions_total",
                    "vllm:prompt_tokens_total",
                    "vllm:generation_tokens_total",
                    "vllm:request_success_total",
                    "vllm:prompt_tokens_cached_by_source_total",
                    "vllm:spec_decode_num_drafts_total",
                    "vllm:spec_decode_num_draft_tokens_total",
                    "vllm:spec_decode_num_accepted_tokens_total",
                    "vllm:nixl_num_failed_transfers_total",
                ),
                "counter",
            ),
            {"vllm:prompt_tokens_cached_by_source_total": 'source="host"'},
        ),
        "sglang": Exposition(
            'model_name="llama-8b",engine_type="unified",tp_rank="0",pp_rank="0",is_streaming="true"',
            {
                "sglang:time_to_first_token_seconds": SGLANG_TTFT,
                "sglang:inter_token_latency_seconds": SGLANG_ITL,
                "sglang:e2e_request_latency_seconds": SGLANG_LATENCY,
                "sglang:queue_time_seconds": SGLANG_QUEUE,
                "sglang:per_stage_req_latency_seconds": SGLANG_STAGE,
                "sglang:prompt_tokens_histogram": LENGTHS,
                "sglang:generation_tokens_histogram": LENGTHS,
            },
            dict.fromkeys(
                (
                    "sglang:num_running_reqs",
                    "sglang:num_queue_reqs",
                    "sglang:token_usage",
                    "sglang:cache_hit_rate",
                    "sglang:spec_accept_rate",
                ),
                "gauge",
            )
            | dict.fromkeys(
                (
                    "sglang:prompt_tokens_total",
                    "sglang:generation_tokens_total",
                    "sglang:num_requests_total",
                    "sglang:num_aborted_requests_total",
                ),
                "counter",
            ),
            {"sglang:per_stage_req_latency_seconds": 'stage="prefill_forward"'},
        ),
        "tensorrt_llm": Exposition(
            'model_name="llama-8b",engine_type="trtllm"',
            {
                "trtllm_time_to_first_token_seconds": TTFT,
                "trtllm_time_per_output_token_seconds": ITL,
                "trtllm_e2e_request_latency_seconds": LATENCY,
                "trtllm_request_queue_time_seconds": LATENCY,
            },
            dict.fromkeys(("trtllm_kv_cache_utilization", "trtllm_kv_cache_hit_rate"), "gauge")
            | {"trtllm_request_success_total": "counter"},
        ),
        "tgi": Exposition(
            "",
            {
                "tgi_request_duration": TGI,
                "tgi_request_mean_time_per_token_duration": TGI,
                "tgi_request_queue_duration": TGI,
            },
            {"tgi_batch_current_size": "gauge", "tgi_queue_size": "gauge", "tgi_request_success": "counter"},
        ),
        "triton": Exposition(
            'model="ensemble",version="1"',
            {},
            dict.fromkeys(
                (
                    "nv_inference_request_duration_us",
                    "nv_inference_queue_duration_us",
                    "nv_inference_request_success",
                    "nv_inference_request_failure",
                ),
                "counter",
            )
            | {"nv_inference_pending_request_count": "gauge"},
        ),
        "lmdeploy": Exposition(
            'model_name="llama-8b",engine="0"',
            {
                "lmdeploy:time_to_first_token_seconds": TTFT,
                "lmdeploy:time_per_output_token_seconds": LMDEPLOY_ITL,
                "lmdeploy:e2e_request_latency_seconds": LATENCY,
                "lmdeploy:request_prefill_time_seconds": LATENCY,
                "lmdeploy:request_decode_time_seconds": LATENCY,
            },
            dict.fromkeys(
                ("lmdeploy:num_requests_running", "lmdeploy:num_requests_waiting", "lmdeploy:gpu_cache_usage_perc"),
                "gauge",
            )
            | dict.fromkeys(("lmdeploy:prompt_tokens_total", "lmdeploy:generation_tokens_total"), "counter"),
        ),
        "dynamo": Exposition(
            'model="llama-8b"',
            {
                "dynamo_frontend_time_to_first_token_seconds": DYNAMO,
                "dynamo_frontend_inter_token_latency_seconds": DYNAMO_ITL,
                "dynamo_frontend_request_duration_seconds": DYNAMO_DURATION,
            },
            dict.fromkeys(("dynamo_frontend_inflight_requests", "dynamo_frontend_queued_requests"), "gauge")
            | {"dynamo_frontend_requests_total": "counter"},
        ),
        "llamacpp": Exposition(
            "",
            {},
            dict.fromkeys(
                (
                    "llamacpp:prompt_tokens_total",
                    "llamacpp:tokens_predicted_total",
                    "llamacpp:prompt_seconds_total",
                    "llamacpp:tokens_predicted_seconds_total",
                ),
                "counter",
            )
            | dict.fromkeys(("llamacpp:requests_processing", "llamacpp:requests_deferred"), "gauge"),
        ),
        "llm_d": Exposition(
            'model_name="llama-8b",target_model_name="llama-8b",fairness_id="f",priority="0"',
            {
                "llm_d_epp_request_ttft_seconds": EPP_TTFT,
                "llm_d_epp_request_streaming_tpot_seconds": EPP_TPOT,
                "llm_d_epp_request_streaming_itl_seconds": (0.01, 0.1),
                "llm_d_epp_request_ntpot_seconds": (0.01, 0.1),
                "llm_d_epp_request_duration_seconds": EPP_LATENCY,
            },
            dict.fromkeys(
                (
                    "llm_d_epp_request_running",
                    "llm_d_epp_ready_endpoints",
                    "llm_d_epp_average_kv_cache_utilization",
                ),
                "gauge",
            )
            | dict.fromkeys(("llm_d_epp_request_total", "llm_d_epp_request_error_total"), "counter"),
            {
                "llm_d_epp_request_ttft_seconds": 'streaming="true"',
                "llm_d_epp_request_error_total": 'error_code="ResourceExhausted"',
            },
        ),
        "smg": Exposition(
            'router_type="http",model="llama-8b",endpoint="chat"',
            {},
            dict.fromkeys(("smg_router_requests_total", "smg_router_request_errors_total"), "counter"),
            {"smg_router_request_errors_total": 'error_type="no_workers"'},
        ),
        "vllm_router": Exposition(
            'route="/v1/chat/completions"',
            {},
            dict.fromkeys(("vllm_router_requests_total", "vllm_router_request_errors_total"), "counter"),
            {"vllm_router_request_errors_total": 'error_type="non_retryable_error"'},
        ),
        "nim": Exposition(
            'model_name="llama-8b"',
            {
                "time_to_first_token_seconds": TTFT[:16],
                "time_per_output_token_seconds": ITL[:13],
                "e2e_request_latency_seconds": (1, 2.5, 5, 10, 15, 20, 30, 40, 50, 60),
                "request_prompt_tokens": LENGTHS,
                "request_generation_tokens": LENGTHS,
            },
            dict.fromkeys(
                ("num_requests_running", "num_requests_waiting", "num_request_max", "gpu_cache_usage_perc"), "gauge"
            )
            | dict.fromkeys(
                ("prompt_tokens_total", "generation_tokens_total", "request_success_total", "request_failure_total"),
                "counter",
            ),
        ),
        "tei": Exposition(
            "",
            dict.fromkeys(
                ("te_request_duration", "te_request_queue_duration", "te_request_inference_duration"),
                tuple(itertools.accumulate([1.5] * 34, operator.mul, initial=0.00001 * 1.5)),
            ),
            {"te_request_success": "counter", "te_request_failure": "counter", "te_queue_size": "gauge"},
        ),
        "mistralrs": Exposition(
            "",
            {
                "mistralrs_time_to_first_token_seconds": TTFT,
                "mistralrs_inter_token_latency_seconds": ITL,
                "http_request_duration_seconds": MISTRALRS_HTTP,
            },
            dict.fromkeys(("mistralrs_sequences_running", "mistralrs_sequences_waiting"), "gauge")
            | {"http_requests_total": "counter"},
            dict.fromkeys(
                (
                    "mistralrs_time_to_first_token_seconds",
                    "mistralrs_inter_token_latency_seconds",
                    "http_request_duration_seconds",
                    "http_requests_total",
                ),
                'method="POST",path="/v1/chat/completions",model="llama-8b",status="200"',
            ),
        ),
        "bifrost": Exposition(
            'model="gpt-4o-mini",alias="",provider="openai",virtual_key_id="88dc28",customer_id="u1",team_id="t"',
            {
                "bifrost_upstream_latency_seconds": BIFROST,
                "bifrost_stream_first_token_latency_seconds": BIFROST_FIRST,
            },
            dict.fromkeys(
                (
                    "bifrost_success_requests_total",
                    "bifrost_error_requests_total",
                    "bifrost_input_tokens_total",
                    "bifrost_output_tokens_total",
                ),
                "counter",
            ),
            {
                "bifrost_upstream_latency_seconds": 'is_success="true"',
                "bifrost_error_requests_total": 'error_type="rate_limit"',
            },
        ),
        "aibrix": Exposition(
            'model="llama-8b",pod_name="gateway-0"',
            {},
            dict.fromkeys(("gateway_request_model_success_total", "gateway_request_model_fail_total"), "counter")
            | {"gateway_in_flight_requests": "gauge"},
            {
                "gateway_request_model_success_total": 'status="gateway_request_success",status_code="200"',
                "gateway_request_model_fail_total": 'status="gateway_resp_error",status_code="503"',
            },
        ),
        "dcgm": Exposition(
            'gpu="0",UUID="GPU-604ac76c",device="nvidia0",modelName="NVIDIA H100",Hostname="n"',
            {},
            dict.fromkeys(
                (
                    "DCGM_FI_DEV_GPU_UTIL",
                    "DCGM_FI_DEV_FB_USED",
                    "DCGM_FI_DEV_FB_FREE",
                    "DCGM_FI_DEV_POWER_USAGE",
                    "DCGM_FI_DEV_GPU_TEMP",
                ),
                "gauge",
            )
            | {"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": "counter"},
        ),
        "litellm": Exposition(
            'model="gpt-4o-mini",api_provider="openai",hashed_api_key="88dc28",end_user="u1",team="t"',
            {
                "litellm_llm_api_time_to_first_token_metric": LITELLM,
                "litellm_llm_api_latency_metric": LITELLM,
                "litellm_request_total_latency_metric": LITELLM,
            },
            dict.fromkeys(
                (
                    "litellm_input_tokens_metric_total",
                    "litellm_output_tokens_metric_total",
                    "litellm_spend_metric_total",
                ),
                "counter",
            ),
        ),
    }


class FakeEngines:
    """All of them behind one port, each under its own path."""

    def __init__(self, seed: int = 3) -> None:
        self.pages = pages()
        self._lock = threading.Lock()
        self._random = np.random.default_rng(seed)
        engines = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = engines.text(self.path.strip("/")).encode()
                self.send_response(200 if body else 404)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def variables(self, *names: str) -> dict[str, str]:
        """What tells the Collector's fragments where these engines are."""
        return {
            variable: value
            for name in names or self.pages
            for variable, value in (
                (f"{name.upper()}_TARGETS", f"[{self.address}]"),
                (f"{name.upper()}_METRICS_PATH", f"/{name}"),
            )
        }

    def text(self, name: str) -> str:
        with self._lock:
            return self.pages[name].text() if name in self.pages else ""

    def add(self, count: int) -> None:
        """Every histogram gets `count` values: first tokens around 0.35 s, SGLang's around 1.2 s."""
        with self._lock:
            for engine, page in self.pages.items():
                page.count += count
                for name, histogram in page.histograms.items():
                    histogram.values += self._draw(engine, name, count).tolist()

    def _draw(self, engine: str, name: str, count: int) -> np.ndarray:
        if "inter_token" in name:
            return self._random.lognormal(math.log(0.0065), 0.25, count)
        if "per_output_token" in name or "per_token" in name or "tpot" in name:
            return self._random.lognormal(math.log(0.009), 0.2, count)
        if "queue" in name:
            return self._random.exponential(0.05, count)
        if engine == "lmdeploy" and ("prefill" in name or "decode" in name):  # below its first edge
            return self._random.lognormal(math.log(0.05), 0.3, count)
        if "prefill" in name or "stage" in name:
            return self._random.lognormal(math.log(0.6), 0.4, count)
        if "xfer" in name:
            return self._random.lognormal(math.log(0.03), 0.5, count)
        if "prompt_tokens" in name or "generation_tokens" in name:
            return self._random.lognormal(math.log(300), 0.8, count).round()
        if "first_token" not in name and "ttft" not in name:
            return self._random.lognormal(math.log(2.1), 0.4, count)
        median, sigma = (1.2, 0.6) if engine == "sglang" else (0.35, 0.7)
        return self._random.lognormal(math.log(median), sigma, count)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

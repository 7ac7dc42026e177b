"""Every telemetry name, unit, description and bucket list, with its source. Nothing else in the project spells one.

Two generations of the GenAI semantic conventions are told apart by profile:

V1_41    open-telemetry/semantic-conventions, tag v1.41.0, docs/gen-ai: what everyone emits, the default
LATEST   open-telemetry/semantic-conventions-genai, v0.1.0, docs/gen-ai: its first release of its own

`OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental` selects the second, `gen_ai_latest_experimental/dup` both.
What the conventions lack is ours, under `otel_llm.`, and has one name in both. docs/conventions.md is made for readers.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["INSTRUMENTS", "LATEST", "V1_41", "Instrument", "Profile", "capture_content", "instrument", "profiles"]

Profile = Literal["v1_41", "latest"]
V1_41: Final[Profile] = "v1_41"
LATEST: Final[Profile] = "latest"

SCOPE: Final = "otel_llm"
SCHEMA_URL: Final = {V1_41: "https://opentelemetry.io/schemas/1.41.0", LATEST: None}
"""The newer one has published none: what its own manifest names, schemas/gen-ai-dev, is of its development."""

# -- attributes ----------------------------------------------------------------------------------------------------

OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
REQUEST_PREVIOUS_RESPONSE_ID: Final = "gen_ai.request.previous_response.id"
AGENT_ID: Final = "gen_ai.agent.id"
AGENT_NAME: Final = "gen_ai.agent.name"
INVOKE_AGENT: Final = "invoke_agent"
"""The operation of a run of an agent, around the calls of models that it makes."""
CONVERSATION_ID: Final = "gen_ai.conversation.id"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
USAGE_PROMPT_TOKENS: Final = "gen_ai.usage.prompt_tokens"
USAGE_COMPLETION_TOKENS: Final = "gen_ai.usage.completion_tokens"
"""The two before them under their names of 2024, as vLLM's spans still have them."""
USAGE_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE_INPUT_TOKENS: Final[dict[Profile, str]] = {
    V1_41: "gen_ai.usage.cache_creation.input_tokens",
    LATEST: "gen_ai.usage.cache_write.input_tokens",
}
USAGE_REASONING_OUTPUT_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
TOKEN_TYPE: Final = "gen_ai.token.type"
TOKEN_MODALITY: Final = "gen_ai.token.modality"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
DETAILS_EVENT: Final = "gen_ai.client.inference.operation.details"
"""The event that may hold what was asked and answered."""
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"
HTTP_STATUS: Final = "http.response.status_code"

STREAM_OUTCOME: Final = "otel_llm.stream.outcome"
TOKEN_SOURCE: Final = "otel_llm.token.source"
COUNTED_TOKENS: Final = "otel_llm.output_tokens"
"""Output tokens that nobody billed or tokenized: one for each chunk with content, up to wherever the stream ended."""
RECORD_FLAGS: Final = "otel_llm.record.flags"
TIME_TO_FIRST_TOKEN: Final = "otel_llm.time_to_first_token"
ITL: Final = "otel_llm.inter_token_latency."
"""Followed by the name of a percentile."""
ITL_MAX: Final = "otel_llm.inter_token_latency.max"
TPOT: Final = "otel_llm.time_per_output_token"
QUEUE_DELAY: Final = "otel_llm.queue_delay"
CONNECT_TIME: Final = "otel_llm.connect_time"
SERVER_SAID: Final = {
    "queue": "otel_llm.server.queue.duration",
    "load": "otel_llm.server.load.duration",
    "prefill": "otel_llm.server.prefill.duration",
    "first_token": "otel_llm.server.time_to_first_token",
    "decode": "otel_llm.server.decode.duration",
    "total": "otel_llm.server.request.duration",
    "upstream": "otel_llm.server.upstream.duration",
    "proxy": "otel_llm.server.proxy.duration",
}
"""What a server says in its answer of its own time for one request, in seconds. Named as the metrics of engines are."""
REQUEST_INDEX: Final = "otel_llm.load.request.index"
CONVERSATION_TURN: Final = "otel_llm.load.conversation.turn"
REQUEST_CLASS: Final = "otel_llm.load.request.class"
"""Which turn of its conversation a request of a load run was, from 1."""
RUN_PREFIX: Final = "otel_llm_run"
"""Of the figures of one run in OpenMetrics."""
RUN_ID: Final = "otel_llm.run.id"
RUN_NAME: Final = "otel_llm.run.name"
RUN_MODE: Final = "otel_llm.run.mode"
CLIENT_LIMITED: Final = "otel_llm.client.limited"
SLO_MET: Final = "met"
REQUEST_OTHER: Final = "otel_llm.request."
"""Before the name of a parameter for which the convention has none, such as `otel_llm.request.num_beams`."""
PROCESS_CPU: Final = "process.cpu.utilization"
PROCESS_MEMORY: Final = "process.memory.usage"
GPU_UTILIZATION: Final = "hw.gpu.utilization"
GPU_MEMORY: Final = "hw.gpu.memory.usage"
GPU_ID: Final = "hw.id"
HARDWARE_TYPE: Final = "hw.type"
HARDWARE_MODEL: Final = "hw.model"
ENGINE: Final = "otel_llm.engine"
"""Which engine a server-side measure comes from, for example `vllm`."""
ENGINE_RANK: Final = "otel_llm.engine.rank"
"""Which of an engine's parallel ranks, where it tells them apart."""
ENGINE_ROLE: Final = "otel_llm.engine.role"
"""Which part of the work a disaggregated engine does: `prefill` or `decode`; `unified` for both."""
CACHE_SOURCE: Final = "otel_llm.cache.source"
"""Where cached tokens came from: the device's memory, the host's, a disk or another engine, in the engine's words."""
VANTAGE: Final = "otel_llm.vantage"
"""Where a duration was measured: `client`, `gateway`, `frontend` or `engine`."""
BUCKET_FAMILY: Final = "otel_llm.bucket.family"
"""Which explicit bucket edges a histogram has: their number, a dot and six digits of a digest. Exponential: none."""
FINISH_REASON: Final = "otel_llm.finish_reason"
SERIES: Final = "otel_llm.series"
"""Tells series apart that differ in labels which are not kept: a digest of those labels."""
TRAFFIC: Final = "otel_llm.traffic"
"""`load_run` for what the load generator measured; users' own traffic has none."""
SERVICE_NAME: Final = "service.name"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
DEPLOYMENT: Final = "deployment.environment.name"
CLUSTER: Final = "k8s.cluster.name"
NAMESPACE: Final = "k8s.namespace.name"
POD: Final = "k8s.pod.name"
NODE: Final = "k8s.node.name"
UNKNOWN_PROVIDER: Final = "custom"
"""What `gen_ai.provider.name` is when nobody said: a custom value, which the convention allows."""

# What others say in their spans and this package only reads: vLLM and SGLang, and conventions before 1.37.
ENGINE_TIME_IN_QUEUE: Final = "gen_ai.latency.time_in_queue"
ENGINE_TIME_TO_FIRST_TOKEN: Final = "gen_ai.latency.time_to_first_token"
ENGINE_TIME_IN_PREFILL: Final = "gen_ai.latency.time_in_model_prefill"
ENGINE_TIME_IN_DECODE: Final = "gen_ai.latency.time_in_model_decode"
ENGINE_LATENCY: Final = "gen_ai.latency.e2e"
EARLIER_INPUT_TOKENS: Final = "gen_ai.usage.prompt_tokens"
EARLIER_OUTPUT_TOKENS: Final = "gen_ai.usage.completion_tokens"
EARLIER_PROVIDER_NAME: Final = "gen_ai.system"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_TYPE: Final = "exception.type"

NOT_OF_A_MODEL: Final = frozenset(("create_agent", "execute_tool", "invoke_agent", "invoke_workflow", "retrieval"))
"""Operations of the convention whose spans are around calls of a model, or beside them."""

NEW_IN_LATEST: Final = frozenset((REQUEST_REASONING_LEVEL, REQUEST_PREVIOUS_RESPONSE_ID))
"""Attributes that the older generation lacks, and with it alone are not sent."""

EMBEDDINGS: Final = "embeddings"
"""The operation that makes vectors and no tokens; the newer generation has metrics of its own for it."""

METRIC_ATTRIBUTES: Final = frozenset(
    (
        OPERATION_NAME,
        PROVIDER_NAME,
        REQUEST_MODEL,
        RESPONSE_MODEL,
        SERVER_ADDRESS,
        SERVER_PORT,
        ERROR_TYPE,
        TOKEN_TYPE,
        TOKEN_MODALITY,
        SLO_MET,
    )
)
"""All that a metric may carry by default: each has few values, whatever is asked of the model."""

# -- buckets -------------------------------------------------------------------------------------------------------

SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""The convention's, for client latencies."""
TOKENS: Final = tuple(float(4**i) for i in range(14))
"""The convention's, for token counts: 1, 4, 16, ... 67108864."""
SERVER_TTFT: Final = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
SERVER_TPOT: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
FINE_SECONDS: Final = tuple(round(step * 10.0**power, 6) for power in range(-4, 4) for step in (1, 1.5, 2.5, 4, 6.5))
"""Ours: 0.1 ms to 6500 s, five a decade. A 5 ms and a 9 ms engine do not look the same, and neither do slow answers."""
PER_SECOND: Final = tuple(float(step * 10**power) for power in (0, 1, 2, 3) for step in (1, 2, 5))

# -- instruments ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument: what it is called in each profile (None: the profile has none), and how it is made."""

    key: str
    kind: Literal["histogram", "counter", "updowncounter", "gauge"]
    unit: str
    description: str
    v1_41: str | None
    latest: str | None
    boundaries: tuple[float, ...] | None = None

    def names(self, wanted: tuple[Profile, ...]) -> tuple[str, ...]:
        """Return its names under the wanted profiles, each once."""
        found = (self.v1_41 if profile == V1_41 else self.latest for profile in wanted)
        return tuple(dict.fromkeys(name for name in found if name))


def _ours(
    key: str, kind: Literal["histogram", "counter", "updowncounter", "gauge"], unit: str, name: str, description: str,
    boundaries: tuple[float, ...] | None = None,
) -> Instrument:  # fmt: skip
    return Instrument(key, kind, unit, description, name, name, boundaries)


INSTRUMENTS: Final = {
    instrument.key: instrument
    for instrument in (
        Instrument(
            "operation_duration", "histogram", "s", "GenAI operation duration.",
            "gen_ai.client.operation.duration", "gen_ai.client.inference.duration", SECONDS,
        ),
        Instrument(
            "embeddings_duration", "histogram", "s", "GenAI operation duration.",
            "gen_ai.client.operation.duration", "gen_ai.client.embeddings.duration", SECONDS,
        ),
        Instrument(
            "time_to_first_chunk", "histogram", "s", "Time to receive the first chunk of a streamed response.",
            "gen_ai.client.operation.time_to_first_chunk", "gen_ai.client.inference.time_to_first_chunk", SECONDS,
        ),
        Instrument(
            "time_per_output_chunk", "histogram", "s", "Time between the chunks of a streamed response.",
            "gen_ai.client.operation.time_per_output_chunk", "gen_ai.client.inference.time_per_output_chunk", SECONDS,
        ),
        Instrument(
            "token_usage", "histogram", "{token}", "Number of input and output tokens used.",
            "gen_ai.client.token.usage", None, TOKENS,
        ),
        Instrument(
            "usage_input_tokens", "counter", "{token}", "Input tokens used.",
            None, "gen_ai.client.inference.usage.input_tokens",
        ),
        Instrument(
            "usage_output_tokens", "counter", "{token}", "Output tokens used.",
            None, "gen_ai.client.inference.usage.output_tokens",
        ),
        Instrument(
            "usage_cached_tokens", "counter", "{token}", "Input tokens served from a cache.",
            None, "gen_ai.client.inference.usage.cache_read.input_tokens",
        ),
        Instrument(
            "usage_cache_write_tokens", "counter", "{token}", "Input tokens written to a cache.",
            None, "gen_ai.client.inference.usage.cache_write.input_tokens",
        ),
        Instrument(
            "usage_reasoning_tokens", "counter", "{token}", "Output tokens spent on reasoning.",
            None, "gen_ai.client.inference.usage.reasoning.output_tokens",
        ),
        Instrument(
            "operation_input_tokens", "histogram", "{token}", "Input tokens per operation.",
            None, "gen_ai.client.inference.operation.input_tokens", TOKENS,
        ),
        Instrument(
            "operation_output_tokens", "histogram", "{token}", "Output tokens per operation.",
            None, "gen_ai.client.inference.operation.output_tokens", TOKENS,
        ),
        Instrument(
            "embeddings_input_tokens", "histogram", "{token}", "Input tokens per embeddings operation.",
            None, "gen_ai.client.embeddings.operation.input_tokens", TOKENS,
        ),
        Instrument(
            "server_request_duration", "histogram", "s", "Generative AI server request duration.",
            "gen_ai.server.request.duration", "gen_ai.server.request.duration", SECONDS,
        ),
        Instrument(
            "server_time_to_first_token", "histogram", "s", "Time to generate the first token.",
            "gen_ai.server.time_to_first_token", "gen_ai.server.time_to_first_token", SERVER_TTFT,
        ),
        Instrument(
            "server_time_per_output_token", "histogram", "s", "Time per output token after the first.",
            "gen_ai.server.time_per_output_token", "gen_ai.server.time_per_output_token", SERVER_TPOT,
        ),
        _ours(
            "time_to_first_token", "histogram", "s", "otel_llm.client.time_to_first_token",
            "Time to the first chunk with text, reasoning or tool content.", FINE_SECONDS,
        ),
        _ours(
            "inter_token_latency", "histogram", "s", "otel_llm.client.inter_token_latency",
            "Time per token between token-bearing reads, once for each token after the first chunk.", FINE_SECONDS,
        ),
        _ours(
            "time_per_output_token", "histogram", "s", "otel_llm.client.time_per_output_token",
            "Mean time per token after the first chunk, per request.", FINE_SECONDS,
        ),
        _ours(
            "max_inter_token_latency", "histogram", "s", "otel_llm.client.max_inter_token_latency",
            "Longest wait between two token-bearing reads, per request.", FINE_SECONDS,
        ),
        _ours(
            "output_throughput", "histogram", "{token}/s", "otel_llm.client.output_throughput",
            "Output tokens per second of the whole call, per request.", PER_SECOND,
        ),
        _ours(
            "active_requests", "updowncounter", "{request}", "otel_llm.client.active_requests",
            "Calls under way.",
        ),
        _ours(
            "queue_delay", "histogram", "s", "otel_llm.load.queue_delay",
            "How long a planned request waited in the load generator before it was sent.", FINE_SECONDS,
        ),
        _ours(
            "load_requests", "counter", "{request}", "otel_llm.load.requests",
            "Requests of a load run that ended, with error.type when they failed.",
        ),
        _ours(
            "loop_lag", "histogram", "s", "otel_llm.load.loop_lag",
            "How late the receiving loop of the load generator ran.", FINE_SECONDS,
        ),
        _ours("run_info", "gauge", "1", "otel_llm.run.info", "1, with what the load run was."),
        _ours(
            "slo_requests", "counter", "{request}", "otel_llm.slo.requests",
            "Requests that met, or did not meet, every term of the SLO.",
        ),
        # From here on: what engines tell about themselves, renamed by the Collector.
        _ours(
            "server_inter_token_latency", "histogram", "s", "otel_llm.server.inter_token_latency",
            "Time between two output tokens, as the engine saw it.", FINE_SECONDS,
        ),
        _ours(
            "server_queue_duration", "histogram", "s", "otel_llm.server.queue.duration",
            "How long a request waited in the engine before it ran.", FINE_SECONDS,
        ),
        _ours(
            "server_prefill_duration", "histogram", "s", "otel_llm.server.prefill.duration",
            "How long the engine worked on a request's prompt, from when it first ran to its first token.",
            FINE_SECONDS,
        ),
        _ours(
            "server_decode_duration", "histogram", "s", "otel_llm.server.decode.duration",
            "How long the engine generated a request's other tokens, from its first token to its last.",
            FINE_SECONDS,
        ),
        _ours(
            "server_inference_duration", "histogram", "s", "otel_llm.server.inference.duration",
            "Prefill and decode of a request together: all but its time in the queue.", FINE_SECONDS,
        ),
        _ours(
            "server_kv_transfer_duration", "histogram", "s", "otel_llm.server.kv_transfer.duration",
            "How long the key-value cache of a request took from one engine to another.", FINE_SECONDS,
        ),
        _ours(
            "server_kv_transfer_failures", "counter", "{failure}", "otel_llm.server.kv_transfer.failures",
            "Transfers of a key-value cache between engines that failed.",
        ),
        _ours(
            "server_request_prompt_tokens", "histogram", "{token}", "otel_llm.server.request.prompt_tokens",
            "Prompt tokens of a request.", TOKENS,
        ),
        _ours(
            "server_request_generation_tokens", "histogram", "{token}", "otel_llm.server.request.generation_tokens",
            "Tokens the engine generated for a request.", TOKENS,
        ),
        _ours(
            "server_prompt_cached_tokens", "counter", "{token}", "otel_llm.server.prompt.cached_tokens",
            "Prompt tokens that came from a cache, by where it was.",
        ),
        _ours(
            "server_speculation_drafts", "counter", "{draft}", "otel_llm.server.speculation.drafts",
            "Drafts of speculative decoding: each is one step of the large model.",
        ),
        _ours(
            "server_speculation_draft_tokens", "counter", "{token}", "otel_llm.server.speculation.draft_tokens",
            "Tokens that speculative decoding proposed.",
        ),
        _ours(
            "server_speculation_accepted_tokens", "counter", "{token}", "otel_llm.server.speculation.accepted_tokens",
            "Proposed tokens that the large model accepted.",
        ),
        _ours(
            "server_speculation_accepted_ratio", "gauge", "1", "otel_llm.server.speculation.accepted_ratio",
            "Share of proposed tokens that were accepted, where the engine tells no counts.",
        ),
        _ours("server_requests", "counter", "{request}", "otel_llm.server.requests", "Requests the engine ended."),
        _ours(
            "server_requests_failed", "counter", "{request}", "otel_llm.server.requests.failed",
            "Those of otel_llm.server.requests that failed, where the engine counts them apart.",
        ),
        _ours(
            "server_requests_in_flight", "gauge", "{request}", "otel_llm.server.requests.in_flight",
            "Requests in the engine, those that wait included, where it does not count the running ones apart.",
        ),
        _ours(
            "server_requests_running", "gauge", "{request}", "otel_llm.server.requests.running",
            "Requests the engine works on.",
        ),
        _ours(
            "server_requests_waiting", "gauge", "{request}", "otel_llm.server.requests.waiting",
            "Requests that wait in the engine.",
        ),
        _ours(
            "server_kv_cache_utilization", "gauge", "1", "otel_llm.server.kv_cache.utilization",
            "Share of the key-value cache in use: of replicas take the mean or the largest, never the sum.",
        ),
        _ours(
            "server_prefix_cache_queries", "counter", "{token}", "otel_llm.server.prefix_cache.queries",
            "Prompt tokens looked up in the prefix cache.",
        ),
        _ours(
            "server_prefix_cache_hits", "counter", "{token}", "otel_llm.server.prefix_cache.hits",
            "Prompt tokens found in the prefix cache.",
        ),
        _ours(
            "server_prefix_cache_hit_ratio", "gauge", "1", "otel_llm.server.prefix_cache.hit_ratio",
            "Share of prompt tokens found in the prefix cache, where the engine tells no counts.",
        ),
        _ours(
            "server_preemptions", "counter", "{request}", "otel_llm.server.preemptions",
            "Running requests that the engine threw out of its cache, to begin them again later.",
        ),
        _ours(
            "server_prompt_tokens", "counter", "{token}", "otel_llm.server.prompt.tokens",
            "Prompt tokens the engine processed.",
        ),
        _ours(
            "server_generation_tokens", "counter", "{token}", "otel_llm.server.generation.tokens",
            "Tokens the engine generated.",
        ),
        _ours(
            "server_request_time", "counter", "s", "otel_llm.server.request.time",
            "Time all requests took together: only a mean can be made of it.",
        ),
        _ours(
            "server_queue_time", "counter", "s", "otel_llm.server.queue.time",
            "Time all requests waited together: only a mean can be made of it.",
        ),
        _ours(
            "server_prompt_time", "counter", "s", "otel_llm.server.prompt.time",
            "Time the engine spent on prompts: only a mean can be made of it.",
        ),
        _ours(
            "server_generation_time", "counter", "s", "otel_llm.server.generation.time",
            "Time the engine spent on generating: only a mean can be made of it.",
        ),
        _ours(
            "gpu_utilization", "gauge", "1", GPU_UTILIZATION, "Share of time the GPU was busy.",
        ),
        _ours(
            "gpu_memory_usage", "updowncounter", "By", GPU_MEMORY, "Memory of the GPU in use.",
        ),
        _ours(
            "gpu_memory_limit", "updowncounter", "By", "hw.gpu.memory.limit", "Size of the GPU's memory.",
        ),
        _ours(
            "gpu_memory_free", "updowncounter", "By", "otel_llm.gpu.memory.free",
            "Memory of the GPU that nobody has: with the usage, its size but for what the driver keeps.",
        ),
        _ours(
            "gpu_power", "gauge", "W", "hw.power", "Power that the GPU takes at this moment.",
        ),
        _ours(
            "gpu_energy", "counter", "J", "hw.energy", "Energy that the GPU has taken.",
        ),
        _ours(
            "gpu_temperature", "gauge", "Cel", "hw.temperature", "Temperature of the GPU.",
        ),
    )
}  # fmt: skip


def instrument(key: str) -> Instrument:
    """Return the instrument of that key."""
    return INSTRUMENTS[key]


# -- what the environment asks for ---------------------------------------------------------------------------------

CAPTURE_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
COMPLETION_HOOK: Final = "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK"


def profiles(environ: Mapping[str, str] = os.environ) -> tuple[Profile, ...]:
    """Return the profiles to emit, from `OTEL_SEMCONV_STABILITY_OPT_IN`, a comma-separated list."""
    wanted = {item.strip() for item in environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "").split(",")}
    if "gen_ai_latest_experimental/dup" in wanted:
        return (V1_41, LATEST)
    return (LATEST,) if "gen_ai_latest_experimental" in wanted else (V1_41,)


def capture_content(environ: Mapping[str, str] = os.environ) -> Literal["no", "span", "event", "both"]:
    """Return where message content may go, from `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`. Default: "no"."""
    return _CAPTURE.get(environ.get(CAPTURE_CONTENT, "").strip().upper(), "no")


def misspelt_capture_content(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the value of that variable where it is none that there is; None where it is one."""
    value = environ.get(CAPTURE_CONTENT, "").strip()
    return None if value.upper() in _CAPTURE else value


_CAPTURE: Final[Mapping[str, Literal["no", "span", "event", "both"]]] = {
    "": "no",
    "NO_CONTENT": "no",
    "SPAN_ONLY": "span",
    "EVENT_ONLY": "event",
    "SPAN_AND_EVENT": "both",
    "TRUE": "both",  # the forms of conventions before 1.37, still in many a deployment
    "FALSE": "no",
}

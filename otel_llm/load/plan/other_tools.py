"""What other load generators call the options of `otel-llm perf`."""

from collections.abc import Mapping
from typing import Final

__all__ = ["OTHER_NAMES"]

_OURS: Final = {
    "--parallel N": ("concurrency", "users", "num-users", "num-concurrent", "num-clients", "c", "vus", "concurrent"),
    "-n N": (
        *("num-prompts", "num-requests", "request-count", "requests", "max-requests", "max-num-completed-requests"),
        *("total-requests", "iterations", "num-examples"),
    ),
    "--rate R": ("request-rate", "qps", "rps", "arrival-rate", "r"),
    "--url URL": ("base-url", "endpoint", "target", "host", "port", "api-base", "api-url", "server", "u", "address"),
    "--protocol NAME": ("backend", "api", "endpoint-type", "api-type", "llm-api", "service-kind"),
    "--tokenizer-path PATH": ("tokenizer", "tokenizer-name"),
    "--dataset PATH": ("dataset-path", "input-file", "data", "input-dataset", "file"),
    "--dataset-format NAME": ("dataset-name", "dataset-type", "custom-dataset-type"),
    "--input-tokens N": (
        *("random-input-len", "input-len", "mean-input-tokens", "synthetic-input-tokens-mean", "prompt-tokens", "isl"),
        *("min-prompt-tokens",),
    ),
    "--input-tokens normal:MEAN,SD": ("stddev-input-tokens", "synthetic-input-tokens-stddev", "prompt-tokens-stdev"),
    "--output-tokens N": (
        *("max-tokens", "output-len", "random-output-len", "mean-output-tokens", "output-tokens-mean", "osl"),
        *("max-new-tokens", "num-output-tokens", "gen-tokens"),
    ),
    "--output-tokens normal:MEAN,SD": ("stddev-output-tokens", "output-tokens-stddev", "output-tokens-stdev"),
    "--input-tokens uniform:A..B": ("random-range-ratio",),
    "--parameters ignore_eos=true": ("ignore-eos",),
    "--parameters KEY=VALUE": (
        *("extra-body", "extra-inputs", "extra-request-body", "extra-args", "additional-sampling-params", "params"),
        *("temperature", "top-p", "top-k", "stop", "frequency-penalty", "presence-penalty", "repetition-penalty"),
    ),
    "--api-key-env NAME or --api-key-file FILE": ("api-key", "token", "openai-api-key", "bearer-token", "apikey"),
    "--headers NAME=VALUE": ("header", "h", "extra-headers"),
    "--warmup N": ("num-warmups", "warmup-requests", "warmup-request-count", "warm-up", "warmup-num"),
    "--slo NAME=TIME": ("goodput", "slos", "sla"),
    "--json FILE": ("output", "output-file", "o", "result-filename", "save-result", "output-path", "export", "out"),
    "--name NAME": ("result-dir", "results-dir", "output-dir", "artifact-dir", "outputs-dir", "experiment-name"),
    "--duration TIME": (
        *("max-seconds", "run-time", "benchmark-duration", "time", "t", "max-time", "time-limit", "stage-duration"),
    ),
    "--ramp TIME": ("ramp-up", "rampup", "spawn-rate", "ramp-up-time", "warmup-duration"),
    "--read-timeout TIME": ("timeout",),
    "--request-timeout TIME": ("request-timeout-seconds",),
    "--seed N": ("random-seed",),
    "--model NAME": ("served-model-name", "model-name", "m", "models"),
    "--insecure": ("no-verify-ssl", "k", "insecure-skip-verify", "skip-tls-verify"),
    "nothing: answers are streamed unless --no-stream is given": ("stream", "streaming", "enable-streaming"),
    "--no-stream": ("no-streaming", "disable-stream", "disable-streaming"),
    "--arrivals NAME": ("burstiness", "arrival-pattern", "rate-type", "request-distribution"),
    "--max-errors N": ("max-error", "max-failures"),
    "--fail-if 'FIGURE>LIMIT'": ("threshold", "thresholds", "max-error-rate", "fail-on", "fail-under", "assert"),
    "--otlp-endpoint URL": ("otel-endpoint", "otlp", "otel-exporter-otlp-endpoint"),
}

OTHER_NAMES: Final[Mapping[str, str]] = {name: ours for ours, names in _OURS.items() for name in names}
"""Our option, with its value, by the name of another's without its dashes."""

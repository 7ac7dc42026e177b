"""Panels of the boards against known truth, over three mixes of traffic: series, the rules, the panels' own queries.

Failures, counts and shares are exact. A percentile is within 8 % of the truth, or the truth is between the edges that
the boards show around it, or above the last one where they say that it is clipped.
"""

import json
import math
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import pytest

from otel_llm import conventions
from otel_llm_collector.engine_tables.table import find_engine_table
from otel_llm_collector.rule_sources.percentiles import Side, bucket_edge
from otel_llm_collector.vocabulary import bucket_family
from otel_llm_collector.vocabulary.measures import DECODE, DURATION, ITL, PREFILL, QUEUE, TPOT, TTFT, Measure
from otel_llm_collector.vocabulary.prometheus_names import label_name, series_for
from tests.dashboards.boards import Expression, expressions
from tests.dashboards.grafana import Chosen, built_in, interpolate
from tests.real.accuracy import RealProgram
from tools.services import COLLECTOR

pytestmark = pytest.mark.timeout(300)

BY_ID = {each.id: each for each in expressions()}
RULES = ("slo", "percentiles", "load", *(f"union_{m.name}" for m in (TTFT, ITL, TPOT, DURATION, QUEUE)))
MINUTES = 7
GIVEN = built_in(900, 240)
ALL = {"model", "environment", "cluster", "namespace", "job", "engine", "vantage"}
ENVIRONMENT = label_name(conventions.DEPLOYMENT)
WITHIN = 0.08
EXACT = 1e-6
JOBS = ("vllm", "sglang", "app")
VLLM = ("vllm-0", "vllm-1")


@dataclass(frozen=True)
class Mix:
    """Requests per second of each job, the share of them that fail, and medians that differ by the load."""

    name: str
    rates: Mapping[str, float]
    failing: Mapping[str, float]
    slowness: float


MIXES = (
    Mix("even", {"vllm": 20, "sglang": 20, "app": 10}, {"vllm": 0.02, "sglang": 0.01, "app": 0.1}, 1),
    Mix("mostly vLLM, slow", {"vllm": 80, "sglang": 20, "app": 40}, {"vllm": 0.2, "sglang": 0.05, "app": 0.25}, 2.5),
    Mix("mostly SGLang, fast", {"vllm": 5, "sglang": 60, "app": 30}, {"vllm": 0.5, "sglang": 0.001, "app": 0.02}, 0.6),
)
MEDIANS = {TTFT: 0.4, ITL: 0.03, TPOT: 0.035, DURATION: 6, QUEUE: 0.5, PREFILL: 0.3, DECODE: 5}
SPREAD = {"vllm": (1, 0.7), "sglang": (2.5, 0.6), "app": (1.4, 0.8)}
"""Of each job: its medians over those, and the sigma of its lognormal."""
GAPS = 50
"""Gaps between tokens in each request."""


def share_below(of: Measure, job: str, mix: Mix, seconds: float) -> float:
    """How many of a job's values are below."""
    times, sigma = SPREAD[job]
    median = MEDIANS[of] * times * mix.slowness
    return NormalDist().cdf(math.log(seconds / median) / sigma) if seconds > 0 else 0.0


def true_quantile(of: Measure, jobs: Sequence[str], mix: Mix, q: float) -> float:
    """The percentile of several jobs together, by halving."""
    low, high = 1e-5, 1e5
    every = sum(good(job, mix) for job in jobs)
    for _ in range(60):
        middle = math.sqrt(low * high)
        below = sum(good(job, mix) * share_below(of, job, mix, middle) for job in jobs) / every
        low, high = (middle, high) if below < q else (low, middle)
    return high


def good(job: str, mix: Mix) -> float:
    """Requests per second that succeed."""
    return mix.rates[job] * (1 - mix.failing[job])


# -- what is stored ------------------------------------------------------------------------------------------------


def stored(mix: Mix) -> Iterator[tuple[str, dict[str, str], float, bool]]:
    """Each series: its name, labels, and its value, or its growth per second if it is a counter."""
    for replica in VLLM:
        yield from _of_engine("vllm", replica, mix, 0.5)
    yield from _of_engine("sglang", "sglang-0", mix, 1)
    app = {"job": "app", "instance": "app-0", "gen_ai_request_model": "m", "otel_llm_vantage": "client"}
    for of, key in ((TTFT, "time_to_first_token"), (ITL, "inter_token_latency"), (TPOT, "time_per_output_token")):
        yield from _histogram(of, key, conventions.instrument(key).boundaries or (), app, "app", mix, good("app", mix))
    duration = conventions.instrument("operation_duration").boundaries or ()
    yield from _histogram(DURATION, "operation_duration", duration, app, "app", mix, good("app", mix))
    failed = {**app, "error_type": "timeout"}
    yield from _histogram(
        DURATION, "operation_duration", duration, failed, "app", mix, mix.rates["app"] * mix.failing["app"]
    )


def _of_engine(job: str, instance: str, mix: Mix, part: float) -> Iterator[tuple[str, dict[str, str], float, bool]]:
    labels = {
        "job": job,
        "instance": instance,
        "gen_ai_request_model": "m",
        "otel_llm_engine": job,
        "otel_llm_vantage": "engine",
    }
    table = find_engine_table(job)
    for of in MEDIANS:
        for metric in table.metrics:
            if metric.to in of.instruments and metric.type == "histogram":
                yield from _histogram(of, metric.to, table.edges(metric), labels, job, mix, part * good(job, mix))
                break
    bad = part * mix.rates[job] * mix.failing[job]
    full = 0.5 if instance.endswith("0") else 0.9
    yield series_for("server_requests"), {**labels, "otel_llm_finish_reason": "stop"}, part * good(job, mix), True
    yield series_for("server_requests"), {**labels, "error_type": "error", "otel_llm_finish_reason": "error"}, bad, True
    yield series_for("server_requests_running"), labels, 12 * part, False
    yield series_for("server_requests_waiting"), labels, 4 * part * mix.slowness, False
    yield series_for("server_kv_cache_utilization"), labels, full, False
    yield series_for("server_generation_tokens"), labels, 100 * part * good(job, mix), True
    yield series_for("server_prompt_tokens"), labels, 300 * part * good(job, mix), True
    yield series_for("server_preemptions"), labels, 2 * part, True
    yield series_for("server_prefix_cache_queries"), labels, 300 * part, True
    yield series_for("server_prefix_cache_hits"), labels, 75 * part * mix.slowness, True


def _histogram(
    of: Measure, key: str, edges: Sequence[float], labels: Mapping[str, str], job: str, mix: Mix, rate: float
) -> Iterator[tuple[str, dict[str, str], float, bool]]:
    name, times = series_for(key), GAPS if of is ITL else 1
    family = {**labels, "otel_llm_bucket_family": bucket_family.name(edges)}
    for edge in edges:
        below = rate * times * share_below(of, job, mix, edge)
        yield f"{name}_bucket", {**family, "le": bucket_family.number(edge)}, below, True
    yield f"{name}_bucket", {**family, "le": "+Inf"}, rate * times, True
    yield f"{name}_count", family, rate * times, True
    yield f"{name}_sum", family, rate * times, True


# -- what is shown -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """A panel's query with choices made, the truth, and the percentile that it is one of, if it is one."""

    panel: str
    truth: float
    chosen: Mapping[str, str]
    percentile: tuple[Measure, str] | None = None


def checks(mix: Mix) -> Iterator[Check]:
    rates, engines = mix.rates, {"vantage": "engine"}
    total = rates["vllm"] + rates["sglang"]
    made = sum(good(job, mix) for job in ("vllm", "sglang"))
    waits = 4 * mix.slowness
    yield Check("engine: Running A", 24, {})
    yield Check("engine: Waiting A", 2 * waits, {})
    yield Check("engine: Fullest cache A", 0.9, {})
    yield Check("engine: Generated tokens A", 100 * made, {})
    yield Check("engine: Preempted A", 4, {})
    yield Check("engine: Running requests A", 12, {"engine": "vllm"})
    yield Check("engine: Waiting requests A", waits, {"engine": "sglang"})
    yield Check("engine: Share of requests that wait A", waits / (waits + 12), {"engine": "vllm"})
    yield Check("engine: Key-value cache in use A", 0.9, {"engine": "vllm"})
    yield Check("engine: Key-value cache in use B", 0.7, {"engine": "vllm"})
    yield Check("engine: Prefix cache hits A", 0.25 * mix.slowness, {"engine": "vllm"})
    yield Check("engine: Prompt tokens per second A", 300 * good("sglang", mix), {"engine": "sglang"})
    yield Check("engine: Generated tokens per second A", 100 * good("vllm", mix), {"engine": "vllm"})
    yield Check("engine: Requests by finish reason A", rates["vllm"], {"engine": "vllm"})
    for engine in ("vllm", "sglang"):
        bad = rates[engine] * mix.failing[engine]
        yield Check("engine: Failed requests A", bad, {"engine": engine})
        yield Check("engine: Failed requests by replica A", bad, {"engine": engine})
        yield Check("overview: Share of requests that failed A", mix.failing[engine], {"job": engine})
    yield Check("overview: Requests A", total, engines)
    yield Check("overview: Requests A", rates["app"], {"vantage": "client"})
    yield Check("overview: Requests per second A", rates["app"], {"job": "app"})
    yield Check("overview: Errors by kind A", rates["app"] * mix.failing["app"], {"job": "app"})
    yield Check("overview: Failed requests A", mix.failing["app"], {"vantage": "client"})
    yield Check("overview: Failed requests A", (total - made) / total, engines)
    yield Check("overview: Share of requests that failed A", mix.failing["app"], {"job": "app"})
    yield Check("overview: Clipped p99 A", len(clipped_p99s(mix)), {})
    yield Check("slo: Objective A", 0.99, {})
    yield from percentile_checks(mix)


def clipped_p99s(mix: Mix) -> list[tuple[str, str]]:
    """Which p99 of which job is above its last bucket edge."""
    last = {
        (labels["job"], name.removesuffix("_bucket")): float(labels["le"])
        for name, labels, _, _ in stored(mix)
        if labels.get("le", "+Inf") != "+Inf"
    }
    of_each = {series: of for of in MEDIANS for series in of.sources()}
    return [
        (job, series)
        for (job, series), edge in last.items()
        if true_quantile(of_each[series], (job,), mix, 0.99) > edge
    ]


def percentile_checks(mix: Mix) -> Iterator[Check]:
    for vantage, jobs in (("engine", ("vllm", "sglang")), ("client", ("app",))):
        for of in (TTFT, ITL, TPOT, DURATION):
            for ref, q in zip("ABC", ("0.5", "0.9", "0.99"), strict=True):
                truth = true_quantile(of, jobs, mix, float(q))
                yield Check(f"overview: {of.heading} {ref}", truth, {"vantage": vantage}, (of, q))
        for of in (TTFT, ITL, DURATION):
            truth = true_quantile(of, jobs, mix, 0.99)
            yield Check(f"overview: p99 {of.title} A", truth, {"vantage": vantage}, (of, "0.99"))
    for engine in ("vllm", "sglang"):
        by_engine = {"engine": engine, "quantile": "0.99"}
        for name, q in (("p50", "0.5"), ("p99", "0.99")):
            truth = true_quantile(QUEUE, (engine,), mix, float(q))
            yield Check(f"engine: Time in the queue, {name} A", truth, {"engine": engine}, (QUEUE, q))
        for of in (TTFT, ITL, TPOT, DURATION):
            truth = true_quantile(of, (engine,), mix, 0.99)
            yield Check(f"overview: {of.heading} by engine A", truth, by_engine, (of, "0.99"))
    for of in (PREFILL, DECODE):
        truth = true_quantile(of, ("vllm",), mix, 0.99)
        yield Check(f"engine: {of.heading} A", truth, {"engine": "vllm", "quantile": "0.99"}, (of, "0.99"))


def test_panels_show_what_is_true(real_program: RealProgram, tmp_path: Path) -> None:
    """Each mix is an environment of its own. promtool says which expression is not 1."""
    series = [each for mix in MIXES for each in written(mix)]
    asked = [passes(each, mix) for mix in MIXES for each in checks(mix)]
    expected = [
        {"expr": text, "eval_time": f"{MINUTES}m", "exp_samples": [{"labels": "{}", "value": 1}]} for text in asked
    ]
    tests = [{"interval": "1m", "input_series": series, "promql_expr_test": expected}]
    assert all(len({each.panel for each in checks(mix)}) >= 30 for mix in MIXES)
    file = tmp_path / "panels.yaml"  # JSON is YAML
    rules = [str(COLLECTOR / "rules" / f"{name}.yaml") for name in RULES]
    file.write_text(json.dumps({"rule_files": rules, "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run(
        [str(real_program("promtool")), "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def written(mix: Mix) -> Iterator[dict[str, str]]:
    """Yield the series of a mix as promtool reads them, over time."""
    for name, labels, value, grows in stored(mix):
        every = {**labels, ENVIRONMENT: mix.name}
        matchers = ", ".join(f"{key}={json.dumps(text)}" for key, text in every.items())
        values = f"0+{60 * value:.9g}x{MINUTES}" if grows else f"{value:.9g}x{MINUTES}"
        yield {"series": f"{name}{{{matchers}}}", "values": values}


def passes(check: Check, mix: Mix) -> str:
    """An expression that is 1 where the panel shows the truth. A comment in it names the panel."""
    shown = f"sum({filled(BY_ID[check.panel], {**check.chosen, 'environment': mix.name})})"
    off = WITHIN if check.percentile else EXACT
    near = f"abs({shown} - {check.truth:.9g}) <= bool {off * check.truth:.9g}"
    if check.percentile:
        of, q = check.percentile
        name = {"vantage": "otel_llm_vantage", "engine": "otel_llm_engine"}
        chosen = [f'{name[key]}="{text}"' for key, text in check.chosen.items() if key in name]
        chosen.append(f'{ENVIRONMENT}="{mix.name}"')
        labels = ", ".join(chosen)
        buckets = f"otel_llm:{of.name}:bucket_rate5m{{{labels}%s}}"
        sides: tuple[Side, ...] = ("upper", "lower")
        upper, lower = (bucket_edge(side, q, buckets % "", buckets % ', le="+Inf"') for side in sides)
        above, under = f"max({upper}) >= bool {check.truth:.9g}", f"min({lower}) <= bool {check.truth:.9g}"
        clipped = f"max(otel_llm:{of.name}:above_last_edge5m{{{labels}}}) >= bool 1 - {q}"
        near = f"clamp_max(({near}) + ({above} or vector(0)) * ({under}) + ({clipped}) * ({under}), 1)"
    return f"{near} or vector(-1) # {mix.name}: {check.panel} {dict(check.chosen)}"


def filled(expression: Expression, chosen: Mapping[str, str]) -> str:
    everything = {name: Chosen([], True, ".*") for name in ALL} | {"left_out": Chosen(["load_run"])}
    picked = {name: Chosen([text]) for name, text in ({"quantile": "0.99"} | dict(chosen)).items()}
    return interpolate(expression.text, everything | picked, GIVEN)

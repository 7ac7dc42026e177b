"""The drill: eight incidents of known engines in a real Prometheus, and what `otel-llm incident` says of each."""

import datetime
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from otel_llm import conventions
from otel_llm.cli import main
from otel_llm_collector.incident import asking
from otel_llm_collector.incident.findings import find
from tests.real.accuracy import RealProgram
from tests.vocabulary import metric_name
from tools.services import Prometheus

pytestmark = pytest.mark.timeout(120)

STEP_S, LASTS_S, BEGAN_S_AGO = 15, 40 * 60, 6 * 60
REPLICAS = ("gpu-1:8000", "gpu-2:8000", "gpu-3:8000")
RATE = 2.0
"""Requests per second of a replica."""
WELL = {
    "server_queue_duration": 0.02,
    "server_prefill_duration": 0.2,
    "server_decode_duration": 4.0,
    "server_inter_token_latency": 0.02,
    "server_time_to_first_token": 0.25,
}
"""Means, s."""


@dataclass
class Incident:
    """What is different since it began: at one replica, or at all."""

    times: dict[str, float] = field(default_factory=dict)  # latency → s
    where: tuple[str, ...] = REPLICAS
    cache: float = 0.4
    failing: float = 0.0
    prompts: float = 300.0
    up: int = 1


INCIDENTS = {
    "queue": Incident({"server_queue_duration": 6.0, "server_time_to_first_token": 6.2}),
    "prefill": Incident({"server_prefill_duration": 2.0, "server_time_to_first_token": 2.1}, prompts=3000.0),
    "decode": Incident({"server_decode_duration": 12.0, "server_inter_token_latency": 0.06}),
    "cache": Incident({"server_queue_duration": 3.0, "server_time_to_first_token": 3.2}, cache=0.99),
    "errors": Incident(failing=0.3),
    "slow-replica": Incident(
        {"server_decode_duration": 40.0, "server_inter_token_latency": 0.2}, where=("gpu-2:8000",)
    ),
    "hidden-replica": Incident({"server_decode_duration": 9.8}, where=("gpu-2:8000",)),  # the mean of all grows 1.48×
    "down": Incident(where=("gpu-3:8000",), up=0),
    "well": Incident(),
}
SAID = {
    "queue": "requests wait",
    "prefill": "the prefill takes longer",
    "decode": "the decode takes longer",
    "cache": "the key-value cache is full, and requests wait for it",
    "errors": "requests fail",
    "slow-replica": "the decode takes longer",
    "down": "a replica does not answer",
}
RUNBOOKS = {
    "queue": "OtelLlmSaturated",
    "prefill": "OtelLlmFirstTokenBurnFast",
    "decode": "OtelLlmInterTokenLatencyBurnFast",
    "cache": "OtelLlmCacheFull",
    "errors": "OtelLlmErrors",
    "slow-replica": "OtelLlmInterTokenLatencyBurnFast",
    "down": "OtelLlmScrapeMissing",
}


def written(end: int) -> Iterator[str]:
    """All series as OpenMetrics, in the order of their moments within each."""
    for model, incident in INCIDENTS.items():
        for replica in REPLICAS:
            yield from _replica(model, replica, incident, end)
    yield from _embedder(end)
    yield "# EOF\n"


def _embedder(end: int) -> Iterator[str]:
    """Embeddings as a client counts them by the newer conventions, of which half fail since a while."""
    name = conventions.instrument("embeddings_duration").names((conventions.LATEST,))[0].replace(".", "_")
    labels = 'job="client",gen_ai_request_model="embedder",otel_llm_vantage="client"'
    for error in ("", ',error_type="timeout"'):
        total = 0.0
        for moment in range(end - LASTS_S, end + 1, STEP_S):
            bad = moment > end - BEGAN_S_AGO
            share = 0.5 if bad else float(not error)
            total += RATE * STEP_S * share
            yield f"{name}_seconds_count{{{labels}{error}}} {total:.6f} {moment}\n"


def _replica(model: str, replica: str, incident: Incident, end: int) -> Iterator[str]:
    labels = f'job="{model}",instance="{replica}"'
    named = f'{labels},gen_ai_request_model="{model}",otel_llm_engine="vllm",otel_llm_vantage="engine"'
    hit = replica in incident.where

    def series(name: str, with_labels: str, value: Callable[[bool, int], float], counts: bool) -> Iterator[str]:
        total = 0.0
        for moment in range(end - LASTS_S, end + 1, STEP_S):
            bad = hit and moment > end - BEGAN_S_AGO
            gone = bad and not incident.up and name != "up"
            total = total + value(bad, STEP_S) if counts else value(bad, STEP_S)
            if not gone:
                yield f"{name}{{{with_labels}}} {total:.6f} {moment}\n"

    def name_of(key: str) -> str:
        return metric_name(key).replace(".", "_")

    for key, mean in WELL.items():
        slow = incident.times.get(key, mean)
        name = f"{name_of(key)}_seconds"
        yield from series(f"{name}_count", named, lambda _, s: RATE * s, counts=True)
        yield from series(
            f"{name}_sum", named, lambda bad, s, m=mean, w=slow: RATE * s * (w if bad else m), counts=True
        )
    lengths = name_of("server_request_prompt_tokens")
    yield from series(f"{lengths}_count", named, lambda _, s: RATE * s, counts=True)
    yield from series(
        f"{lengths}_sum", named, lambda bad, s: RATE * s * (incident.prompts if bad else 300.0), counts=True
    )
    ended = f"{name_of('server_requests')}_total"
    yield from series(ended, named, lambda bad, s: RATE * s * (1 - incident.failing * bad), counts=True)
    yield from series(
        ended, f'{named},error_type="overloaded"', lambda bad, s: RATE * s * incident.failing * bad, counts=True
    )
    full = f"{name_of('server_kv_cache_utilization')}_ratio"
    yield from series(full, named, lambda bad, _: incident.cache if bad else 0.4, counts=False)
    yield from series(name_of("server_requests_running"), named, lambda _, __: 3.0, counts=False)
    yield from series("up", labels, lambda bad, _: float(incident.up if bad else 1), counts=False)


@pytest.fixture(scope="module")
def end() -> int:
    return int(time.time()) // STEP_S * STEP_S - 60


@pytest.fixture(scope="module")
def store(real_program: RealProgram, end: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    data = tmp_path_factory.mktemp("incident")
    (data / "series.txt").write_text("".join(written(end)))
    words = ("tsdb", "create-blocks-from", "openmetrics", str(data / "series.txt"), str(data / "tsdb"))
    subprocess.run([str(real_program("promtool")), *words], check=True, capture_output=True, timeout=90)
    (data / "prometheus.yaml").write_text("global: {}\n")
    with Prometheus(real_program("prometheus"), data, config=data / "prometheus.yaml") as prometheus:
        yield prometheus


@pytest.fixture(scope="module")
def screen(store: Prometheus, end: int, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the command prints."""
    said = tmp_path_factory.mktemp("said") / "screen"
    until = datetime.datetime.fromtimestamp(end, datetime.UTC).isoformat()
    with pytest.MonkeyPatch.context() as patch, Path(said).open("w") as out:
        patch.setattr("sys.stdout", out)
        assert main(["incident", "--prometheus", store.url, "--since", "10m", "--until", until]) == 0
    return said.read_text()


def about(screen: str, model: str) -> str:
    """The lines on one model."""
    (found,) = re.findall(rf"^{model} on vllm .*(?:\n  .*)*", screen, re.MULTILINE)
    return str(found)


@pytest.mark.parametrize("model", SAID)
def test_each_incident_is_named_with_its_beginning_and_its_runbook(model: str, screen: str, end: int) -> None:
    text = about(screen, model)
    assert f": {SAID[model]}, since " in text, screen
    (began,) = re.findall(r"since (\d\d:\d\d:\d\d)", text)
    true = datetime.datetime.fromtimestamp(end - BEGAN_S_AGO).astimezone()
    found = true.replace(**dict(zip(("hour", "minute", "second"), map(int, began.split(":")), strict=True)))
    assert -STEP_S <= (found - true).total_seconds() % 86_400 <= 75  # the window of a mean is a minute
    assert f"runbook   runbooks/{RUNBOOKS[model]}.md" in text


def test_a_replica_apart_has_its_own_beginning_where_the_mean_of_all_hides_it(store: Prometheus, end: int) -> None:
    found = find(asking.Prometheus(store.url, {}), end, 600.0)
    (hidden,) = [each for each in found if ("gen_ai_request_model", "hidden-replica") in each.service]
    assert (hidden.cause, hidden.replicas, hidden.alike) == ("decode", ["gpu-2:8000"], 3)
    assert hidden.since is not None
    assert -STEP_S <= hidden.since - (end - BEGAN_S_AGO) <= 75


def test_the_replica_is_named_where_it_is_one(screen: str) -> None:
    assert "replica   gpu-2:8000\n" in about(screen, "slow-replica")
    assert "replica   gpu-3:8000\n" in about(screen, "down")
    assert all("replica   all 3 alike" in about(screen, model) for model in ("queue", "prefill", "decode"))


def test_times_are_those_before_and_now(screen: str) -> None:
    assert "queue 0.02 s → 6 s" in about(screen, "queue")
    assert "prefill 0.2 s → 2 s" in about(screen, "prefill")
    assert "longer    prompts 10.0 times" in about(screen, "prefill")
    assert "decode 4 s → 12 s" in about(screen, "decode")


def test_failures_are_told_by_kind(screen: str) -> None:
    assert "failures  30.0%: overloaded 1.8/s" in about(screen, "errors")


def test_a_client_is_heard_by_the_names_of_the_newer_conventions(screen: str) -> None:
    (found,) = re.findall(r"^embedder .*(?:\n  .*)*", screen, re.MULTILINE)
    assert ": requests fail, since " in found
    assert "failures  50.0%: timeout 1/s" in found


def test_what_is_well_is_said_to_be(screen: str) -> None:
    (last,) = [line for line in screen.splitlines() if line.startswith("nothing stands out at: ")]
    assert last.startswith("nothing stands out at: well on vllm")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since", "5s"], "--since of at least 2 times --window, which is 60 s, got '5s'"),
        (["--window", "0s"], "--window to be longer than nothing, got '0s'"),
        (["--until", "soon"], "--until to be a date and time"),
        (["--prometheus", "http://127.0.0.1:9"], "expected Prometheus at http://127.0.0.1:9"),
        (["--prometheus", "file:///etc/passwd"], "expected --prometheus URL with http"),
        (["--header", "secret"], "expected --header NAME:VALUE, got 'a text without a colon'"),
    ],
)
def test_bad_usage_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["incident", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert "secret" not in error

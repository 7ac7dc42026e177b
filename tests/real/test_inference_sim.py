"""`otel-llm perf` against a model server that was written elsewhere and whose pace is known."""

from collections.abc import Callable

import pytest

from otel_llm.sinks.stored_run import read_records
from tests.load.conftest import Perf
from tools.services import InferenceSim

pytestmark = pytest.mark.timeout(60)

Run = Callable[..., Perf]

REQUESTS, TOKENS = 24, 20


def asked(sim: InferenceSim, path: str) -> list[str]:
    """A few at a time: the server lets no more than five in and has the others wait."""
    return [
        *("--url", f"{sim.url}{path}", "--model", sim.model, "--prompt", "Say something long."),
        *("--parameters", f"max_tokens={TOKENS}", "ignore_eos=true"),
        *("--parallel", "4", "-n", str(REQUESTS)),
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_the_tokens_are_the_servers_own(path: str, perf: Run, inference_sim: InferenceSim) -> None:
    run = perf(*asked(inference_sim, path))
    assert run.code == 0, run.err
    report = run.report
    assert report["requests"]["succeeded"] == REQUESTS
    assert report["tokens"]["source"] == "provider"
    assert report["tokens"]["output"] == REQUESTS * TOKENS
    assert report["tokens"]["input"] > 0

    measures = report["measures"]
    assert measures["time_to_first_token"]["count"] == REQUESTS
    assert measures["inter_token_latency"]["count"] == REQUESTS * (TOKENS - 1)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_the_pace_is_the_servers_own(path: str, perf: Run, inference_sim: InferenceSim) -> None:
    """The server sleeps from token to token, and oversleeps on a busy machine: one run in four may show the truth.

    Where the machine is too busy for that, none shows less than the truth.
    """
    first, gap = inference_sim.first_token_ms / 1e3, inference_sim.between_tokens_ms / 1e3
    expected = {"time_to_first_token": first, "inter_token_latency": gap}
    for _ in range(4):
        measures = perf(*asked(inference_sim, path)).report["measures"]
        found = {name: measures[name]["p50"] for name in expected}
        print(path, *(f"{name} {found[name]:.5f} s ({found[name] / expected[name] - 1:+.1%})" for name in expected))
        if found == pytest.approx(expected, rel=0.05):
            return
    assert all(0.95 < found[name] / expected[name] < 2 for name in expected), found


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_tokens_are_counted_where_usage_is_not_asked_for(path: str, perf: Run, inference_sim: InferenceSim) -> None:
    run = perf(*asked(inference_sim, path), "--parameters", "stream_options=null", "-n", "4")
    assert run.code == 0, run.err
    assert run.report["tokens"] == {"input": 0, "output": 4 * TOKENS, "source": "chunks"}


def test_answers_that_are_not_streamed(perf: Run, inference_sim: InferenceSim) -> None:
    run = perf(*asked(inference_sim, "/v1/chat/completions"), "--no-stream", "-n", "4")
    assert run.code == 0, run.err
    assert run.report["tokens"]["output"] == 4 * TOKENS
    assert run.report["measures"]["time_to_first_token"]["count"] == 0
    whole = (inference_sim.first_token_ms + (TOKENS - 1) * inference_sim.between_tokens_ms) / 1e3
    assert run.report["measures"]["request_latency"]["p50"] == pytest.approx(whole, rel=0.25)


def test_a_failure_is_told_as_the_server_tells_it(perf: Run, inference_sim: InferenceSim) -> None:
    """The server knows no model of that name."""
    arguments = asked(inference_sim, "/v1/chat/completions")
    run = perf(*(argument.replace(inference_sim.model, "no-such-model") for argument in arguments), "-n", "2")
    assert run.code == 1
    assert run.report["requests"]["errors"] == {"404": 2}
    assert {record.status for record in read_records(run.run_file)} == {404}

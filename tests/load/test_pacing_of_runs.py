"""When requests begin: ramps that end with their run, places that the server frees, a start that is on time."""

from collections.abc import Callable

from tests.load.conftest import Perf
from tests.load.test_perf import chat
from tests.truthserver.process import TruthServer

Run = Callable[..., Perf]


def test_a_ramp_does_not_outlast_its_run(perf: Run, truth: TruthServer) -> None:
    arguments = [*chat(truth, "ttft_ms=5;itl_ms=1;tokens=3"), "--parallel", "10", "--ramp", "600"]
    for limit in (["--duration", "1"], ["-n", "3"]):
        run = perf(*arguments, *limit)  # it would take ten minutes, and the test's patience ends before
        assert run.code == 0, run.err
        assert run.report["requests"]["failed"] == 0


def test_a_wait_for_a_place_is_no_lateness_of_the_client(perf: Run, truth: TruthServer) -> None:
    arguments = chat(truth, "ttft_ms=90;itl_ms=5;tokens=3")
    run = perf(*arguments, "--rate", "40", "-n", "60", "--max-concurrency", "2")
    delays, lags = run.report["measures"]["queue_delay"], run.report["client"]["send_lag"]
    assert delays["max"] > 0.5  # a request every 25 ms, a place every 50
    assert lags["p50"] < delays["p50"] / 4

"""`otel-llm perf` against a real LiteLLM proxy, in front of a simulated model that logs what it did."""

from collections.abc import Iterator
from statistics import fmean

import pytest

from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.stored_run import read_records
from tests.engines.conftest import Run, started
from tests.engines.litellm_proxy import KEY, LiteLLMProxy

pytestmark = pytest.mark.timeout(1200)

REQUESTS, TOKENS, USERS = 12, 8, 3
BEHIND = Behaviour(ttft_ms=300, itl_ms=5, tokens=TOKENS, slots=2)


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with SimProcess(BEHIND, log=True) as server:
        yield server


@pytest.fixture(scope="module")
def proxy(sim: SimProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiteLLMProxy]:
    yield from started("litellm", lambda data: LiteLLMProxy(data, sim.url, "m"), tmp_path_factory)


def asked(proxy: LiteLLMProxy) -> list[str]:
    return [
        *("--url", f"{proxy.url}/v1/chat/completions", "--headers", f"Authorization=Bearer {KEY}"),
        *("--model", proxy.model, "--prompt", "one token after another", "--parameters", f"max_tokens={TOKENS}"),
        *("-n", str(REQUESTS), "--parallel", str(USERS), "--server-metrics", "auto"),
    ]


def test_the_proxy_has_its_own_time_and_not_the_model_s(run: Run, proxy: LiteLLMProxy, sim: SimProcess) -> None:
    done = run(*asked(proxy))
    assert done.code == 0, done.err
    split = done.report["first_token"]
    assert split["sources"] == {"litellm": REQUESTS}
    assert split["told"] == {"outside": REQUESTS, "queue": 0, "load": 0, "prefill": 0, "unexplained": REQUESTS}
    mean = split["mean"]
    assert mean["outside"] + mean["unexplained"] == pytest.approx(mean["whole"])
    rows = [row for row in sim.log() if row["first_token"]][-REQUESTS:]
    behind = fmean((row["first_token"] - row["recv"]) / 1e9 for row in rows)
    assert mean["unexplained"] >= behind >= 0.3, "what the model took is in what is unexplained"
    assert mean["outside"] > 0
    server = done.report["server"]
    assert server["complete"], [source["error"] for source in server["sources"]]
    said = [record.server.proxy for record in read_records(done.run_file) if record.server]
    assert mean["outside"] == pytest.approx(fmean(own for own in said if own is not None))


def test_both_accounts_are_the_same(run: Run, proxy: LiteLLMProxy) -> None:
    done = run(*asked(proxy))
    (source,) = done.report["server"]["sources"]
    assert (source["engine"], source["vantage"], source["failed"]) == ("litellm", "gateway", 0)
    rows = {row["what"]: row for row in done.report["server"]["accounts"]}
    for what in ("requests", "answered well", "failed", "input tokens", "output tokens"):
        assert rows[what]["verdict"] == "same", rows[what]
    assert rows["output tokens"]["server"] == REQUESTS * TOKENS

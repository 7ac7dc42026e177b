"""`otel-llm perf` against a real LiteLLM proxy in front of a real llama-server: which of the two says what."""

import sqlite3
from collections.abc import Iterator
from itertools import pairwise

import msgspec
import pytest

from otel_llm.load.server.scrape import Scrape
from tests.engines.conftest import Run, started
from tests.engines.litellm_proxy import KEY, LiteLLMProxy
from tests.engines.llama_server import SLOTS, LlamaServer
from tests.load.conftest import Perf

pytestmark = pytest.mark.timeout(1200)

REQUESTS, TOKENS = 18, 12
PROMPT = " ".join(["one token after another"] * 12)


@pytest.fixture(scope="module")
def proxy(llama_server: LlamaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiteLLMProxy]:
    yield from started(
        "litellm", lambda data: LiteLLMProxy(data, llama_server.url, llama_server.model), tmp_path_factory
    )


def asked(proxy: LiteLLMProxy, behind: LlamaServer, users: int) -> list[str]:
    return [
        *("--url", f"{proxy.url}/v1/chat/completions", "--headers", f"Authorization=Bearer {KEY}"),
        *("--model", proxy.model, "--prompt", PROMPT, "--cache-bust", "-n", str(REQUESTS), "--warmup", "2"),
        *("--parallel", str(users), "--server-metrics", "auto", f"{behind.url}/metrics"),
        *("--parameters", f"max_tokens={TOKENS}", "ignore_eos=true", "temperature=0"),
    ]


def prefill_by_its_page(done: Perf) -> float:
    """Return the mean time of a prompt, s, that llama-server counted during the run: its answers' own is lost."""
    rows = sqlite3.connect(done.run_file).execute("SELECT scrape FROM server_scrape WHERE engine = 'llamacpp'")
    looks = [msgspec.json.decode(scrape, type=Scrape) for (scrape,) in rows]
    times = [look.reading.counters["server_prompt_time"] for look in looks if look.reading]
    assert all(before <= after for before, after in pairwise(times))
    return (times[-1] - times[0]) / REQUESTS


@pytest.mark.parametrize("users", [1, 3 * SLOTS])
def test_the_parts_of_both_add_up_to_the_first_token_and_the_engine_s_account_counts(
    users: int, run: Run, proxy: LiteLLMProxy, llama_server: LlamaServer
) -> None:
    done = run(*asked(proxy, llama_server, users))
    assert done.code == 0, done.err
    split = done.report["first_token"]
    assert split["sources"] == {"litellm": REQUESTS}, "it hands on nothing of what the engine says"
    assert split["told"] == {"outside": REQUESTS, "queue": 0, "load": 0, "prefill": 0, "unexplained": REQUESTS}
    mean, prefill = split["mean"], prefill_by_its_page(done)
    rest = mean["whole"] - mean["outside"] - prefill
    assert mean["outside"] > 0
    assert prefill > 0
    server = done.report["server"]
    if users == 1:
        assert 0 < rest < mean["whole"] / 3, "nobody waits: the proxy and the prompt are nearly all of it"
        assert server["waiting"]["max"] == 0
    else:
        assert rest > prefill, "three users wait for each slot"
        assert (server["running"]["max"], server["waiting"]["max"] > 0) == (SLOTS, True)

    named = [(source["engine"], source["vantage"], source["failed"]) for source in server["sources"]]
    assert named == [("litellm", "gateway", 0), ("llamacpp", "engine", 0)]
    assert server["counted"] == [f"{llama_server.url}/metrics"]
    rows = {row["what"]: row for row in server["accounts"]}
    assert {what: row["verdict"] for what, row in rows.items()} == {"input tokens": "same", "output tokens": "same"}
    assert rows["output tokens"]["server"] == REQUESTS * TOKENS

"""`otel-llm perf` against a real Ollama: what it says of each request, and what of it holds the queue."""

from statistics import fmean

import pytest

from otel_llm.record import StreamRecord
from otel_llm.sinks.stored_run import read_records
from tests.engines.conftest import Run
from tests.engines.ollama import SLOTS, Ollama
from tests.load.conftest import Perf

pytestmark = pytest.mark.timeout(1200)

TOKENS = 24


def asked(server: Ollama, path: str, requests: int, users: int, tokens: int = TOKENS) -> list[str]:
    return [
        *("--url", f"{server.url}{path}", "--model", server.model, "--prompt", "one token after another"),
        *("-n", str(requests), "--parallel", str(users), "--parameters", f"num_predict={tokens}"),
    ]


def records(done: Perf) -> list[StreamRecord]:
    assert done.code == 0, done.err
    return list(read_records(done.run_file))


def test_the_first_request_loads_the_model(run: Run, ollama: Ollama) -> None:
    """It comes before all others: the server is started for this file."""
    first, *others = records(run(*asked(ollama, "/api/chat", requests=4, users=1)))
    loads = [each.server.load for each in (first, *others) if each.server and each.server.load]
    assert len(loads) == 4
    assert loads[0] > 4 * max(loads[1:])
    assert first.server
    assert first.server.prefill
    assert loads[0] + first.server.prefill <= (first.chunks.at_ns[0] - first.sent_ns) / 1e9


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_the_queue_is_in_its_total_alone(path: str, run: Run, ollama: Ollama) -> None:
    done = run(*asked(ollama, path, requests=24, users=6 * SLOTS))
    split = done.report["first_token"]
    assert split["sources"] == {"ollama": 24}
    assert split["told"] == {"outside": 24, "queue": 0, "load": 24, "prefill": 24, "unexplained": 24}
    mean = split["mean"]
    parts = mean["outside"] + mean["load"] + mean["prefill"] + mean["unexplained"]
    assert parts == pytest.approx(mean["whole"])
    assert mean["unexplained"] > mean["outside"] + mean["load"] + mean["prefill"], "six users wait for each slot"
    assert "nobody tells queue" in done.out
    said = [each.server for each in records(done) if each.server]
    waited = fmean((each.total or 0) - (each.load or 0) - (each.prefill or 0) - (each.decode or 0) for each in said)
    assert mean["unexplained"] == pytest.approx(waited, rel=0.25)


def test_its_decode_is_of_the_tokens_after_the_first(run: Run, ollama: Ollama) -> None:
    done = run(*asked(ollama, "/api/generate", requests=12, users=1))
    decode = fmean(each.server.decode or 0 for each in records(done) if each.server)
    here = done.report["measures"]["time_per_output_token"]["mean"] * (TOKENS - 1)
    assert decode == pytest.approx(here, rel=0.25)
    alone = records(run(*asked(ollama, "/api/generate", requests=2, users=1, tokens=1)))
    assert [each.server and each.server.decode for each in alone] == [None, None]
    assert [each.output_tokens for each in alone] == [1, 1]


def test_openai_s_protocol_has_none_of_it_and_there_is_no_page_of_metrics(run: Run, ollama: Ollama) -> None:
    where = ["--url", f"{ollama.url}/v1/chat/completions", "--model", ollama.model, "--prompt", "hi"]
    done = run(*where, "-n", "2", "--parameters", "max_tokens=4", "--server-metrics", "auto")
    assert [each.server for each in records(done)] == [None, None]
    assert done.report["first_token"] is None
    (source,) = done.report["server"]["sources"]
    assert source["error"] == "HTTP 404"

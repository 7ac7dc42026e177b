"""`otel-llm perf` against vLLM's own `/v1/realtime`: what it takes, what it says, and what it counts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.conftest import Run, started
from tests.engines.serving import EngineServer
from tests.engines.vllm import environment
from tools.engines import VLLM as ENVIRONMENT
from tools.ports import HOST

pytestmark = pytest.mark.timeout(1200)


class Endpoint(EngineServer):
    name = "vllm_realtime"

    def command(self) -> list[str]:
        script = Path(__file__).with_name("vllm_realtime_endpoint.py")
        return [ENVIRONMENT.python, "-P", str(script), str(self.port)]  # -P: vllm.py beside it is another

    def environment(self) -> dict[str, str]:
        return environment()


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    yield from started("vllm", Endpoint, tmp_path_factory)


def test_recordings_go_in_and_words_come_out(run: Run, endpoint: Endpoint) -> None:
    asked = ["--url", f"ws://{HOST}:{endpoint.port}", "--protocol", "vllm_realtime", "--prompt", "", "--audio", "3s"]
    done = run(*asked, "--model", "heard", "-n", "20", "--parallel", "4")
    assert done.code == 0, done.err
    measures = done.report["measures"]
    counts = {name: measures[name]["mean"] for name in ("output_tokens", "input_tokens", "audio_duration")}
    assert counts == {"output_tokens": 3, "input_tokens": 5, "audio_duration": 3}
    assert measures["inter_token_latency"]["count"] == 20 * 2
    assert measures["connect_time"]["count"] == 4, "expected sessions to be used again"
    assert measures["inter_token_latency"]["mean"] >= 0.02
    refused = run(*asked, "--model", "another", "-n", "2")
    assert refused.report["requests"]["errors"] == {"stream_error": 2}
    assert "The model `another` does not exist" in refused.out

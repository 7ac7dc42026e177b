"""The adapter of vLLM over the real classes: what it reads off their arguments and outputs is what they did."""

import json
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from tests.engines import vllm_in_process
from tests.engines.vllm import environment, weights
from tests.engines.vllm_in_process import PROMPTS, TOKENS
from tools.engines import VLLM as ENVIRONMENT

pytestmark = pytest.mark.timeout(1200)

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """What the calls of `vllm_in_process` told, in their order: three at once, two streamed."""
    if not ENVIRONMENT.installed:
        pytest.skip("needs a real vllm: make engines ARGS=vllm")
    command = (ENVIRONMENT.python, "-m", vllm_in_process.__name__, str(weights()), sysconfig.get_path("purelib"))
    env = {**environment(), "PYTHONPATH": str(CHECKOUT), "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=1000)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_each_call_is_one_span_with_the_tokens_that_were_made(seen: dict[str, Any]) -> None:
    spans = seen["spans"]
    assert [span["gen_ai.operation.name"] for span in spans] == [
        *("text_completion", "text_completion", "chat"),
        *("text_completion", "text_completion"),
    ]
    made = [span["gen_ai.usage.output_tokens"] for span in spans]
    assert made == [len(PROMPTS) * TOKENS, *[TOKENS] * 4]
    assert all(span["gen_ai.usage.input_tokens"] > 0 for span in spans)
    assert {span["gen_ai.response.finish_reasons"][0] for span in spans} == {"length"}
    assert {(span["gen_ai.request.max_tokens"], span["gen_ai.provider.name"]) for span in spans} == {(TOKENS, "vllm")}
    assert all(span["name"].endswith(span["gen_ai.request.model"]) for span in spans)


def test_the_first_token_of_a_stream_is_when_its_reader_had_it(seen: dict[str, Any]) -> None:
    streams = seen["spans"][3:]
    for span, first in zip(streams, seen["first"], strict=True):
        assert 0.9 * first <= span["otel_llm.time_to_first_token"] <= first


def test_calls_that_give_all_at_once_have_the_first_token_that_the_engine_tells(seen: dict[str, Any]) -> None:
    for span in seen["spans"][:3]:
        assert span["otel_llm.time_to_first_token"] > 0
        assert "gen_ai.response.time_to_first_chunk" not in span

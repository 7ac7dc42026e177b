"""The simulated server driven by the library that most callers use."""

from collections.abc import Iterator

import openai
import pytest

from otel_llm.sim import Behaviour, SimServer


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    with (
        SimServer(Behaviour(ttft_ms=5, itl_ms=1)) as sim,
        openai.OpenAI(base_url=sim.url + "/v1", api_key="none", max_retries=0) as library,
    ):
        yield library


def test_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], max_tokens=3)
    assert answer.choices[0].message.content == " tok tok tok"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


def test_chat_streamed(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "hi"}],
            max_tokens=3,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == " tok tok tok"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3


def test_completions(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="m", prompt="hi", max_tokens=2)
    assert answer.choices[0].text == " tok tok"


def test_completions_streamed(client: openai.OpenAI) -> None:
    chunks = client.completions.create(model="m", prompt="hi", max_tokens=2, stream=True)
    assert [chunk.choices[0].text for chunk in chunks] == [" tok", " tok"]


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["sim"]


def test_faults_are_the_errors_that_the_library_knows(client: openai.OpenAI) -> None:
    with pytest.raises(openai.RateLimitError):
        client.completions.create(model="m", prompt="hi", extra_body={"sim": {"fault": "429"}})
    with pytest.raises(openai.APIConnectionError):
        client.completions.create(model="m", prompt="hi", extra_headers={"x-sim": "fault=disconnect"})
    with pytest.raises(openai.APIError, match="injected stream error"):
        list(client.completions.create(model="m", prompt="hi", stream=True, extra_body={"sim": {"fault": "error"}}))

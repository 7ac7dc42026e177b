"""The vendors' own clients accept what the simulated server says: so it says it right."""

from collections.abc import Iterator
from typing import Any

import anthropic
import boto3
import cohere
import ollama
import openai
import pytest
from botocore.exceptions import EventStreamError
from cohere.core.api_error import ApiError
from google import genai
from google.genai.errors import ServerError
from google.genai.types import GenerateContentConfig, HttpOptions
from mistralai.client import Mistral

from otel_llm.sim import Behaviour, SimServer

ASKED: list[Any] = [{"role": "user", "content": "hi"}]
THOUGHT = {"x-sim": "reasoning=2"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with SimServer(Behaviour(ttft_ms=5, itl_ms=1)) as sim:
        yield sim.url


def test_openai_responses(url: str) -> None:
    with openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0) as client:
        three = {
            "x-sim": "tokens=3"
        }  # with a limit the stream ends incomplete, and the client then has no final response
        whole = client.responses.create(model="m", input="hi", extra_headers=three)
        with client.responses.stream(model="m", input="hi", extra_headers=three) as stream:
            kinds = [event.type for event in stream]
            streamed = stream.get_final_response()
    assert whole.output_text == streamed.output_text == " tok" * 3
    assert whole.usage is not None
    assert streamed.usage is not None
    assert whole.usage.output_tokens == streamed.usage.output_tokens == 3
    assert kinds.count("response.output_text.delta") == 3


def test_anthropic(url: str) -> None:
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client:
        whole = client.messages.create(model="m", messages=ASKED, max_tokens=3)
        with client.messages.stream(model="m", messages=ASKED, max_tokens=5, extra_headers=THOUGHT) as stream:
            streamed = stream.get_final_message()
        with pytest.raises(anthropic.APIStatusError, match="injected stream error"):
            list(client.messages.create(
                model="m", messages=ASKED, max_tokens=3, stream=True, extra_headers={"x-sim": "fault=error"}
            ))  # fmt: skip
    assert (whole.content[0].to_dict()["text"], whole.stop_reason, whole.usage.output_tokens) == (
        " tok" * 3,
        "max_tokens",
        3,
    )
    assert [block.to_dict().get(block.type) for block in streamed.content] == [" tok" * 2, " tok" * 3]
    assert (streamed.usage.output_tokens, streamed.stop_reason) == (5, "max_tokens")


def test_bedrock(url: str) -> None:
    client = boto3.client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=url, aws_access_key_id="a", aws_secret_access_key="b"
    )
    asked = {"modelId": "us.m-v1:0", "messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    whole = client.converse(**asked, inferenceConfig={"maxTokens": 3})
    assert whole["output"]["message"]["content"] == [{"text": " tok" * 3}]
    assert (whole["stopReason"], whole["usage"]["outputTokens"]) == ("max_tokens", 3)
    events = list(client.converse_stream(**asked, inferenceConfig={"maxTokens": 5})["stream"])
    kinds = [next(iter(event)) for event in events]
    assert kinds == ["messageStart", *["contentBlockDelta"] * 5, "contentBlockStop", "messageStop", "metadata"]
    assert {event["contentBlockDelta"]["delta"]["text"] for event in events[1:6]} == {" tok"}
    assert events[-1]["metadata"]["usage"]["outputTokens"] == 5
    client.meta.events.register("before-send", lambda request, **_: request.headers.update({"x-sim": "fault=error"}))
    with pytest.raises(EventStreamError, match="injected stream error"):
        list(client.converse_stream(**asked)["stream"])


def test_gemini(url: str) -> None:
    config = GenerateContentConfig(max_output_tokens=5)
    options = HttpOptions(base_url=url, headers=THOUGHT)
    client = genai.Client(api_key="none", http_options=options)
    whole = client.models.generate_content(model="m", contents="hi", config=config)
    chunks = list(client.models.generate_content_stream(model="m", contents="hi", config=config))
    assert whole.text == "".join(chunk.text or "" for chunk in chunks) == " tok" * 3
    for answer in (whole, chunks[-1]):
        assert answer.usage_metadata is not None
        assert answer.usage_metadata.candidates_token_count == 3
        assert answer.usage_metadata.thoughts_token_count == 2
        assert answer.candidates is not None
        assert answer.candidates[0].finish_reason == "MAX_TOKENS"
    failing = genai.Client(api_key="none", http_options=HttpOptions(base_url=url, headers={"x-sim": "fault=503"}))
    with pytest.raises(ServerError, match="503"):
        failing.models.generate_content(model="m", contents="hi")


def test_cohere(url: str) -> None:
    client = cohere.ClientV2(api_key="none", base_url=url)
    whole = client.chat(model="m", messages=ASKED, max_tokens=3)
    events = list(client.chat_stream(model="m", messages=ASKED, max_tokens=3))
    assert whole.message.content is not None
    assert (whole.message.content[0].text, whole.finish_reason) == (" tok" * 3, "MAX_TOKENS")
    assert "".join(e.delta.message.content.text for e in events if e.type == "content-delta") == " tok" * 3
    assert [e.type for e in events if e.type != "content-delta"] == [
        "message-start",
        "content-start",
        "content-end",
        "message-end",
    ]
    assert events[-1].delta.usage.tokens.output_tokens == 3
    with pytest.raises(ApiError):
        client.chat(model="m", messages=ASKED, max_tokens=0)


def test_mistral(url: str) -> None:
    with Mistral(api_key="none", server_url=url) as client:
        whole = client.chat.complete(model="m", messages=ASKED, max_tokens=3)
        chunks = [event.data for event in client.chat.stream(model="m", messages=ASKED, max_tokens=3)]
    assert whole.choices[0].message.content == " tok" * 3
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == " tok" * 3


@pytest.mark.parametrize("stream", [True, False])
def test_ollama(url: str, stream: bool) -> None:
    client = ollama.Client(host=url, headers=THOUGHT)
    chats: Any = client.chat(model="m", messages=ASKED, options={"num_predict": 5}, stream=stream)
    texts: Any = client.generate(model="m", prompt="hi", options={"num_predict": 5}, stream=stream)
    chats, texts = ([*chats], [*texts]) if stream else ([chats], [texts])
    assert "".join(chunk.message.content for chunk in chats) == " tok" * 3
    assert "".join(chunk.message.thinking or "" for chunk in chats) == " tok" * 2
    assert "".join(chunk.response for chunk in texts) == " tok" * 3
    assert chats[-1].eval_count == texts[-1].eval_count == 5
    assert chats[-1].done_reason == "length"


def test_embeddings_and_reranking(url: str) -> None:
    with openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0) as client:
        answer = client.embeddings.create(model="m", input=["a", "b", "c"], encoding_format="float")
    assert [len(each.embedding) for each in answer.data] == [8, 8, 8]
    theirs = Mistral(api_key="none", server_url=url).embeddings.create(model="m", inputs=["a", "b"])
    assert len(theirs.data) == 2
    ranked = cohere.ClientV2(api_key="none", base_url=url).rerank(model="m", query="q", documents=["a", "b"])
    assert [each.index for each in ranked.results] == [0, 1]

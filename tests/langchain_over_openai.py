"""A chat model of langchain-core over the openai library, and a server of that protocol which stops in mid-answer."""

import json
from functools import cached_property
from typing import Any

import openai
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from otel_llm.testing import STALL, ScriptedServer

ASKED: Any = [{"role": "user", "content": "hi"}]
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


def _chunk(**delta: str) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": None}]
    said = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "tiny", "choices": choices}
    return f"data: {json.dumps(said)}\n\n".encode()


def stalling() -> ScriptedServer:
    """Return a server whose answer is a role, three pieces of text 10 ms apart, and no end."""
    text = (part for word in ("one", "two", "three") for part in (0.01, _chunk(content=word)))
    return ScriptedServer([SSE + _chunk(role="assistant", content=""), *text, STALL])


class OverOpenAI(BaseChatModel):
    """A chat model such as langchain-openai's: raw responses of the openai library below."""

    url: str
    model_name: str = "tiny"
    temperature: float = 0.5

    @property
    def _llm_type(self) -> str:
        return "over-openai"

    @cached_property
    def _openai(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=self.url, api_key="none")  # which takes longer to be made than many a call

    def _create(self, **asked: Any) -> Any:
        made = self._openai.chat.completions.with_raw_response.create(model="tiny", messages=ASKED, **asked).parse()
        if isinstance(made, openai.Stream):
            yield from made
        else:
            yield made

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        (answer,) = self._create()
        usage = {"input_tokens": 3, "output_tokens": answer.usage.completion_tokens, "total_tokens": 9}
        message = AIMessage(answer.choices[0].message.content, usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        for chunk in self._create(stream=True):
            yield ChatGenerationChunk(message=AIMessageChunk(chunk.choices[0].delta.content or ""))

    async def _astream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        async with openai.AsyncOpenAI(base_url=self.url, api_key="none") as client:
            raw = client.chat.completions.with_raw_response
            made = await raw.create(model="tiny", messages=ASKED, stream=True)
            async for chunk in made.parse():
                yield ChatGenerationChunk(message=AIMessageChunk(chunk.choices[0].delta.content or ""))

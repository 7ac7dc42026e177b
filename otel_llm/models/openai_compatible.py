"""`OpenAICompatibleLLM`: any endpoint that speaks OpenAI's chat completions, streamed and not."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final

import orjson

from otel_llm.instrumentation.calls.current import current
from otel_llm.models.background import submit
from otel_llm.models.base import BaseLLM
from otel_llm.models.conversation import Message, messages_of
from otel_llm.models.endpoint import Endpoint
from otel_llm.wire.protocol import Ask

__all__ = ["OpenAICompatibleLLM"]

_BODY: Final = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "num_return_sequences": "n",
    "repition_penalty": "repetition_penalty",
}
"""Our parameters by their names in the body. What is None is not sent."""

Asked = str | Sequence[Mapping[str, Any]]


class OpenAICompatibleLLM(BaseLLM):
    """A model behind an endpoint.

    base_url:    up to and with /v1; else the variable OPENAI_BASE_URL, else OpenAI's own
    api_key:     sent as a bearer token. Better left in the environment: the variable named by `api_key_env` is read
                 at every call. A key is never logged, never on a span, and never in a checkpoint
    parameters:  goes into every body as it is; keyword arguments of a call (`tools`, `response_format`, ...) go into
                 that call's and win. None takes a key out
    timeout:     seconds to connect, and between two reads

    A task is text or a list of messages. `run` returns the text of the answer, and the whole message, a dict, when it
    has tool calls: those are the caller's to make. Streams ask for usage, so that their token counts are the
    provider's; `parameters={"stream_options": None}` does not. What the endpoint refuses, breaks off or does not answer
    raises RemoteError, whose `kind` is what it is counted by.
    """

    kind = "client"

    def __init__(
        self,
        model_name: str | None = None,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        provider: str | None = None,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float = 120.0,
        **settings: Any,
    ) -> None:
        super().__init__(model_name, **settings)
        base = base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        self.endpoint = Endpoint.below(base, timeout)
        self.provider = provider or ("openai" if "api.openai.com" in base else None)
        self.api_key_env, self._api_key = api_key_env, api_key
        self.headers, self.parameters = dict(headers or {}), dict(parameters or {})

    def describe_call(self) -> Mapping[str, Any]:
        """Return where the endpoint is."""
        address, port = self.endpoint.address
        return {"server_address": address, "server_port": port}

    # -- generating --------------------------------------------------------------------------------------------

    def run(self, task: Asked | None = None, *args: Any, **kwargs: Any) -> Any:
        """Return the text of the answer, or its message where it has tool calls."""
        return _result(submit(self._once(task, kwargs)).result())

    async def arun(self, task: Asked | None = None, *args: Any, **kwargs: Any) -> Any:
        """Return what `run` returns. To cancel it closes the connection."""
        return _result(await asyncio.wrap_future(submit(self._once(task, kwargs))))

    def stream(self, task: Asked | None = None, *args: Any, **kwargs: Any) -> Iterator[str]:
        """Yield the text as it arrives. To close the iterator closes the connection."""
        pieces: SimpleQueue[str | None] = SimpleQueue()
        reading = submit(self._read(task, kwargs, pieces.put))
        try:
            yield from iter(pieces.get, None)
            reading.result()
        finally:
            reading.cancel()

    async def astream(self, task: Asked | None = None, *args: Any, **kwargs: Any) -> AsyncIterator[str]:
        """Yield the text as it arrives. To close the iterator, or to cancel its task, closes the connection."""
        loop, pieces = asyncio.get_running_loop(), asyncio.Queue[str | None]()

        def put(piece: str | None) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody reads any more
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        reading = submit(self._read(task, kwargs, put))
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
            await asyncio.wrap_future(reading)
        finally:
            reading.cancel()

    def converse(self, messages: list[Message]) -> str:
        """Return the reply to messages, as they are."""
        reply: str = self.run(messages)
        return reply

    # `current()` is looked up where the call is made: these are called there, and run on the loop in the background

    def _once(self, task: Asked | None, kwargs: Mapping[str, Any]) -> Any:
        return self.endpoint.ask(self._ask(task, kwargs, stream=False), self._sent_headers(), current())

    def _read(self, task: Asked | None, kwargs: Mapping[str, Any], put: Any) -> Any:
        stream = self.endpoint.stream(self._ask(task, kwargs, stream=True), self._sent_headers(), current())

        async def read() -> None:
            try:
                async for text in stream:
                    put(text)
            finally:
                put(None)

        return read()

    def _ask(self, task: Asked | None, kwargs: Mapping[str, Any], *, stream: bool) -> Ask:
        messages: list[Any] = (
            [{"role": self.role or "user", "content": task}] if isinstance(task, str) else list(task or [])
        )
        if self.system_prompt and not any(message.get("role") == "system" for message in messages):
            messages = [*messages_of("", self.system_prompt), *messages]
        body = {theirs: getattr(self, ours) for ours, theirs in _BODY.items() if getattr(self, ours) is not None}
        if self.stop_token is not None:
            body["stop"] = [self.stop_token]
        parameters = {**body, **self.parameters, **kwargs}
        return Ask(model=self.model_name or "", messages=messages, stream=stream, parameters=parameters)

    def _sent_headers(self) -> dict[str, str]:
        key = self._api_key or os.environ.get(self.api_key_env)
        return {**({"Authorization": f"Bearer {key}"} if key else {}), **self.headers}

    def checkpoint_state(self) -> Mapping[str, Any]:
        """Return where the endpoint is and what goes into every body; no key, and no header, which may hold one."""
        return {"url": self.endpoint.url, "api_key_env": self.api_key_env, "parameters": self.parameters}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        endpoint, parameters = Endpoint(state["url"], self.endpoint.transport.timeout), dict(state["parameters"])
        self.endpoint, self.api_key_env, self.parameters = endpoint, state["api_key_env"], parameters

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.model_name} at {self.endpoint.url}>"


def _result(body: bytes) -> Any:
    """Return the text in the body of an answer, or its message when that calls tools; of several choices, a list."""
    messages = [choice.get("message") or {} for choice in orjson.loads(body).get("choices") or ()]
    results = [
        message if message.get("tool_calls") or message.get("function_call") else message.get("content") or ""
        for message in messages
    ]
    return results[0] if len(results) == 1 else results

"""One stream of many chunks out of this process's own memory: no socket and no other process stands in its cost.

The client is the real `openai` one, and parses what an HTTP transport of its own kind gives it, an event at a time.
"""

import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai

ASKED: Any = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "stream": True}
_HEAD = b'data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"tiny-1","choices":['
_TOKEN = _HEAD + b'{"index":0,"delta":{"content":" tok"},"logprobs":null,"finish_reason":null}]}\n\n'
_FIRST = _HEAD + b'{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}\n\n'
_LAST = _HEAD + b'{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\n'
_USAGE = _HEAD + b'],"usage":{"prompt_tokens":7,"completion_tokens":%d,"total_tokens":%d}}\n\n'


def http() -> Any:
    """Return the HTTP library that this version of the client is built on."""
    base = next(kind for kind in openai.DefaultHttpxClient.__mro__[1:] if kind.__name__ == "Client")
    return sys.modules[base.__module__.partition(".")[0]]


def events(tokens: int) -> list[bytes]:
    """Return the events of an answer: the role, so many chunks with text, the end, the usage."""
    return [_FIRST, *[_TOKEN] * tokens, _LAST, _USAGE % (tokens, tokens + 7), b"data: [DONE]\n\n"]


def _answer(tokens: int) -> Any:
    library, parts = http(), events(tokens)

    class Body(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            return iter(parts)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for part in parts:
                yield part

    return lambda _request: library.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())


def client(tokens: int) -> openai.OpenAI:
    """Return a client to which every answer is the same stream."""
    transport = http().MockTransport(_answer(tokens))
    return openai.OpenAI(base_url="http://memory/v1", api_key="none", http_client=http().Client(transport=transport))


def async_client(tokens: int) -> openai.AsyncOpenAI:
    """Return its asynchronous twin."""
    transport = http().MockTransport(_answer(tokens))
    inner = http().AsyncClient(transport=transport)
    return openai.AsyncOpenAI(base_url="http://memory/v1", api_key="none", http_client=inner)

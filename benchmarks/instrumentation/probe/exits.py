"""Every way out of a stream, and what was said of it: each is one call, of which so many tokens had come."""

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable, Coroutine
from typing import Any

import openai

from benchmarks.instrumentation.probe.said import Said, said
from benchmarks.instrumentation.probe.seen import Seen

READ = 3
"""Tokens that are read before the way out is taken; the server would send many more."""
HELD_S = 0.5
ASKED: Any = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": 64}


class _OurError(Exception):
    """What the consumer raises."""


def _three(stream: Any) -> None:
    """Read until three chunks with text have come."""
    left = READ
    for chunk in stream:
        left -= bool(chunk.choices and chunk.choices[0].delta.content)
        if not left:
            break


async def _three_async(stream: Any) -> None:
    left = READ
    async for chunk in stream:
        left -= bool(chunk.choices and chunk.choices[0].delta.content)
        if not left:
            break


class Exits:
    """The ways out, of a stream that goes on, and of one that stalls once READ tokens have come."""

    def __init__(self, url: str, stalls: str, seen: Seen) -> None:
        self._seen, self._url, self._stalls = seen, url, stalls
        self._client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)

    def _ask(self) -> Any:
        return self._client.chat.completions.create(**ASKED)

    def _broken_off(self) -> None:
        _three(self._ask())

    def _left_with(self) -> None:
        with self._ask() as stream:
            _three(stream)

    def _closed(self) -> None:
        stream = self._ask()
        _three(stream)
        stream.close()

    def _raised(self) -> None:
        with contextlib.suppress(_OurError), self._ask() as stream:
            _three(stream)
            raise _OurError

    def _in_a_cycle(self) -> None:
        class Holder:
            pass

        holder: Any = Holder()
        holder.stream, holder.itself = self._ask(), holder
        _three(holder.stream)

    def _held(self) -> None:
        stream = self._ask()
        _three(stream)
        time.sleep(HELD_S)

    def _helper(self) -> None:
        asked = {name: value for name, value in ASKED.items() if name != "stream"}
        with self._client.chat.completions.stream(**asked) as events:
            left = READ
            for event in events:
                left -= event.type == "content.delta" and bool(event.delta)
                if not left:
                    break

    def _async(
        self, use: Callable[[openai.AsyncOpenAI], Coroutine[Any, Any, None]], url: str = ""
    ) -> Callable[[], None]:
        async def run() -> None:
            async with openai.AsyncOpenAI(base_url=url or self._url, api_key="none", max_retries=0) as client:
                await use(client)
                gc.collect()
                await asyncio.sleep(0.05)  # what was left to the loop to finish

        return lambda: asyncio.run(run())

    @staticmethod
    async def _broken_off_async(client: openai.AsyncOpenAI) -> None:
        await _three_async(await client.chat.completions.create(**ASKED))

    @staticmethod
    async def _left_with_async(client: openai.AsyncOpenAI) -> None:
        async with await client.chat.completions.create(**ASKED) as stream:
            await _three_async(stream)

    @staticmethod
    async def _cancelled(client: openai.AsyncOpenAI) -> None:
        came = asyncio.Event()

        async def read() -> None:
            left = READ
            async for chunk in await client.chat.completions.create(**ASKED):
                left -= bool(chunk.choices and chunk.choices[0].delta.content)
                if left <= 0:
                    came.set()

        task = asyncio.create_task(read())
        await came.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def all(self) -> dict[str, Said]:
        """Take each way out in turn."""
        ways = {
            "break": self._broken_off,
            "with_break": self._left_with,
            "close": self._closed,
            "raise": self._raised,
            "cycle": self._in_a_cycle,
            "held": self._held,
            "helper": self._helper,
            "async_break": self._async(self._broken_off_async),
            "async_with_break": self._async(self._left_with_async),
            "cancelled": self._async(self._cancelled, self._stalls),
        }
        _three(self._ask())  # the connection, and what is imported late
        found = {}
        for name, way in ways.items():
            gc.collect()
            self._seen.forget()
            way()
            gc.collect()
            found[name] = said(self._seen)
        return found

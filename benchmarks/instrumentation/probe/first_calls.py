"""The first calls of a process: when each had its first token, as the library says and as its caller saw."""

import time
from typing import Any

import openai

from benchmarks.instrumentation.probe.libraries import switch_on
from benchmarks.instrumentation.probe.said import said
from benchmarks.instrumentation.probe.seen import Seen

CALLS = 10
FIRST_MS = 20
_ASKED: Any = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4, "stream": True}


def first_calls(library: str, url: str) -> dict[str, list[float | None]]:
    """Return the times to the first token of ten calls, in s; None where the library says none.

    The client makes one call before it is instrumented: what it imports for its own first one is not the library's.
    """
    seen = Seen()
    base_url = f"{url}/x/ttft_ms={FIRST_MS};itl_ms=2/v1"
    client = openai.OpenAI(base_url=base_url, api_key="none", max_retries=0)
    list(client.chat.completions.create(**_ASKED))
    switch_on(library, quiet=True)
    told: list[float | None] = []
    waited: list[float | None] = []
    for _ in range(CALLS):
        before = time.perf_counter()
        stream = iter(client.chat.completions.create(**_ASKED))
        next(chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content)
        waited.append(time.perf_counter() - before)
        for _chunk in stream:
            pass
        first = said(seen).first
        told.append(None if first is None else first[2])
    return {"says": told, "waited": waited}

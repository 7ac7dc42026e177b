"""How many spans with usage come of one call of the `anthropic` client, which traces itself from 1.14 on."""

import gc
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import anthropic

from benchmarks.instrumentation.probe.libraries import switch_on
from benchmarks.instrumentation.probe.said import INPUT, OUTPUT
from benchmarks.instrumentation.probe.seen import Seen

_ASKED: Any = {"model": "tiny", "max_tokens": 4, "messages": [{"role": "user", "content": "hi"}]}


def _streamed(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**_ASKED) as stream:
        stream.get_final_message()


def _run(client: anthropic.Anthropic) -> None:
    client.beta.messages.tool_runner(**_ASKED, tools=[]).until_done()


WAYS: Mapping[str, Callable[[anthropic.Anthropic], object]] = {
    "messages.create": lambda client: client.messages.create(**_ASKED),
    "messages.create(stream=True)": lambda client: list(client.messages.create(**_ASKED, stream=True)),
    "messages.stream": _streamed,
    "messages.parse": lambda client: client.messages.parse(**_ASKED),
    "beta.messages.tool_runner": _run,
}


def spans_with_usage(library: str, url: str) -> dict[str, int | None]:
    """Return how many spans tell of the tokens of one call; None of a way that this version of the client has not."""
    seen = Seen()
    switch_on(library, quiet=True, client="anthropic")
    warnings.simplefilter("ignore")
    found: dict[str, int | None] = {}
    with anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client:
        for name, call in WAYS.items():
            seen.forget()
            try:
                call(client)
            except (AttributeError, TypeError):
                found[name] = None
                continue
            gc.collect()
            found[name] = sum(any(key in (span.attributes or {}) for key in (*INPUT, *OUTPUT)) for span in seen.spans())
    return found

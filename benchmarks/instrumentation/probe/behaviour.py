"""What a library says of calls whose truth is known, and what it does to the client: answers for the table."""

import contextlib
import gc
import importlib.metadata
import importlib.resources
import importlib.util
import sys
import time
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import openai

from benchmarks.instrumentation.probe import streams
from benchmarks.instrumentation.probe.exits import READ, Exits
from benchmarks.instrumentation.probe.libraries import PACKAGES, switch_on
from benchmarks.instrumentation.probe.points import Functions
from benchmarks.instrumentation.probe.said import said
from benchmarks.instrumentation.probe.seen import Seen

TOKENS, FIRST_MS, GAP_MS = 8, 200, 10
ASKED: Any = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": TOKENS}
SECRET = "the words of the prompt"
LEAKED = 60


def _knobs(url: str, **knobs: Any) -> str:
    return f"{url}/x/" + ";".join(f"{name}={value}" for name, value in knobs.items()) + "/v1"


def _client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key="none", max_retries=0)


def quiet(library: str, url: str) -> dict[str, Any]:
    """Return what holds with the library switched on and no content kept."""
    seen, bare = Seen(), Functions()
    undo = switch_on(library, quiet=True)
    answers: dict[str, Any] = {"typed": _typed(PACKAGES[library])}
    answers |= _calls(url, seen)
    answers |= {f"exit_{name}": dict(told) for name, told in Exits(*_unfinished(url), seen).all().items()}
    answers["kept_bytes"] = _kept_by_a_stream(seen)
    undo()
    answers["undone"] = bare.same()
    return answers


def _unfinished(url: str) -> tuple[str, str]:
    """Return where streams go on, and where they stall."""
    paced: dict[str, Any] = {"role_ms": 0, "ttft_ms": 20, "itl_ms": 10}
    return _knobs(url, **paced), _knobs(url, **paced, fault="stall", fault_at=READ)


def _calls(url: str, seen: Seen) -> dict[str, Any]:
    slow = _client(_knobs(url, role_ms=0, ttft_ms=FIRST_MS, itl_ms=GAP_MS))
    list(slow.chat.completions.create(**ASKED, stream=True))  # the connection, and what is imported late
    usage = {"stream_options": {"include_usage": True}}
    answers: dict[str, Any] = {}

    def ask(name: str, call: Callable[[], object]) -> None:
        seen.forget()
        with contextlib.suppress(openai.OpenAIError):
            call()
        gc.collect()
        answers[name] = dict(said(seen))

    def first_text() -> None:
        before = time.perf_counter()
        stream = slow.chat.completions.create(**ASKED, **usage, stream=True)
        answers["type_kept"] = isinstance(stream, openai.Stream)
        answers["response_kept"] = getattr(getattr(stream, "response", None), "status_code", None) == 200
        chunks = [(time.perf_counter() - before, chunk) for chunk in stream]
        text = [at for at, chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
        answers["true_first_s"], answers["true_gap_s"] = text[0], (text[-1] - text[0]) / (len(text) - 1)
        answers["true_greatest_gap_s"] = max(b - a for a, b in pairwise(text))

    def raw() -> None:
        for _ in slow.chat.completions.with_raw_response.create(**ASKED, **usage, stream=True).parse():
            pass

    failing = _client(_knobs(url, fault="429", retry_after=0))
    cut = _client(_knobs(url, fault="disconnect", fault_at=3, ttft_ms=20, itl_ms=5))
    ask("stream", first_text)
    ask("no_usage", lambda: list(slow.chat.completions.create(**ASKED, stream=True)))
    ask("whole", lambda: slow.chat.completions.create(**ASKED))
    ask("raw", raw)
    ask("refused", lambda: failing.chat.completions.create(**ASKED))
    ask("cut", lambda: _until_cut(cut))
    return answers


def _until_cut(client: openai.OpenAI) -> None:
    with contextlib.suppress(Exception):  # of the client's own kind or of its HTTP library's, by its version
        for _ in client.chat.completions.create(**ASKED, stream=True):
            pass


def _kept_by_a_stream(seen: Seen) -> float:
    """Return the bytes that stay for each stream that was broken off, once all that can be collected is."""
    client = streams.client(20)

    def break_off(times: int) -> int:
        for _ in range(times):
            for _chunk in client.chat.completions.create(**streams.ASKED):
                break
        seen.forget()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        break_off(LEAKED)
        before = break_off(LEAKED)
        return (break_off(2 * LEAKED) - before) / (2 * LEAKED)
    finally:
        tracemalloc.stop()


def _typed(package: str) -> bool:
    """Return whether a package says that it has types."""
    files = importlib.metadata.files(package) or []
    if any(file.name == "py.typed" for file in files):
        return True
    top = package.replace("-", "_")  # installed from a checkout: its files are not on the list
    return importlib.util.find_spec(top) is not None and importlib.resources.files(top).joinpath("py.typed").is_file()


def as_it_comes(library: str, url: str) -> dict[str, Any]:
    """Return what holds when it is switched on without an argument: hosts it asks, content it keeps."""
    asked: set[str] = set()

    def watch(event: str, args: tuple[Any, ...]) -> None:
        host = args[0] if event == "socket.getaddrinfo" else None
        if isinstance(host, bytes):
            host = host.decode()
        if host is not None and host not in ("127.0.0.1", "localhost", "::1"):
            asked.add(host)
            raise OSError(f"the benchmark lets nothing out, and this asked for {host}")

    seen = Seen()
    sys.addaudithook(watch)
    with contextlib.suppress(OSError):
        switch_on(library, quiet=False)
    client = _client(url + "/v1")
    client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": SECRET}], max_tokens=2)
    told = [repr((span.attributes, [(e.name, e.attributes) for e in span.events])) for span in seen.spans()]
    return {"content": any(SECRET in text for text in told + seen.events()), "hosts": sorted(asked)}

"""The adapter of vLLM, against a double: the library itself needs a GPU or a build of an hour.

The double has the modules, classes and signatures of vLLM 0.33 that the adapter names, and outputs of the same fields.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from enum import Enum
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import otel_llm
from otel_llm.testing import FakeClock
from tests.telemetry_in_memory import Seen
from tests.vocabulary import metric_name

SECOND = 1_000_000_000


class Kind(Enum):
    """`RequestOutputKind`."""

    CUMULATIVE = 0
    DELTA = 1
    FINAL_ONLY = 2


@dataclass
class Params:
    """`SamplingParams`."""

    max_tokens: int = 16
    temperature: float = 1.0
    output_kind: Kind = Kind.CUMULATIVE


@dataclass
class Completion:
    """`CompletionOutput`."""

    index: int
    text: str
    token_ids: list[int]
    finish_reason: str | None = None


@dataclass
class Stats:
    """`RequestStateStats`: a time of the wall clock, two of the engine's own clock, and a duration."""

    arrival_time: float
    first_token_ts: float
    last_token_ts: float
    first_token_latency: float


@dataclass
class Output:
    """`RequestOutput`."""

    outputs: list[Completion]
    prompt_token_ids: list[int] = field(default_factory=lambda: [1, 2, 3])
    metrics: Stats | None = None
    num_cached_tokens: int | None = 0
    finished: bool = False


CONFIG = SimpleNamespace(model="tiny")


class LLM:
    def __init__(self, clock: FakeClock, *, stats: bool) -> None:
        self.llm_engine = SimpleNamespace(model_config=CONFIG)
        self._clock, self._stats = clock, stats

    def generate(self, prompts: Any, sampling_params: Any = None, *, use_tqdm: bool = True) -> list[Output]:
        arrived = self._clock.wall_ns(self._clock.now_ns()) / SECOND
        self._clock.advance(seconds=2)
        made = []
        for number in range(len(prompts)):
            stats = Stats(arrived, 100.0, 101.0, first_token_latency=0.5 + number / 4) if self._stats else None
            made.append(Output([Completion(0, "words", [1, 2, 3, 4, 5], "length")], metrics=stats, finished=True))
        return made

    def chat(self, messages: Any, sampling_params: Any = None, use_tqdm: bool = True) -> list[Output]:
        return self.generate([messages], sampling_params)


class AsyncLLM:
    def __init__(self, clock: FakeClock) -> None:
        self.model_config, self._clock = CONFIG, clock

    async def generate(self, prompt: Any, sampling_params: Any, request_id: str, **_: Any) -> AsyncIterator[Output]:
        new = ([], [1], [2, 3], [4])  # the first output may hold no token, and one may hold several
        so_far: list[int] = []
        for step, ids in enumerate(new):
            self._clock.advance(seconds=1)
            so_far = [*so_far, *ids]
            shown = ids if sampling_params.output_kind is Kind.DELTA else so_far
            reason = "stop" if step == len(new) - 1 else None
            yield Output([Completion(0, "", shown, reason)], finished=reason is not None)


@pytest.fixture(autouse=True)
def _instrumented(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "vllm", ModuleType("vllm"))
    for name, member in (("vllm.entrypoints.llm", LLM), ("vllm.v1.engine.async_llm", AsyncLLM)):
        module = ModuleType(name)
        vars(module)[member.__name__] = member
        monkeypatch.setitem(sys.modules, name, module)
    otel_llm.instrument(include=["vllm"])
    yield
    otel_llm.uninstrument()


@pytest.mark.parametrize("kind", [Kind.CUMULATIVE, Kind.DELTA])
def test_each_new_token_of_a_stream_is_counted_once(kind: Kind, seen: Seen, clock: FakeClock) -> None:
    async def read() -> None:
        async for _ in AsyncLLM(clock).generate("hi", Params(max_tokens=9, output_kind=kind), "1"):
            pass

    asyncio.run(read())
    span = seen.span()
    found = dict(span.attributes or {})
    assert (span.name, span.kind.name) == ("text_completion tiny", "INTERNAL")
    expected = {
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.max_tokens": 9,
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 1.0,
        "otel_llm.time_to_first_token": 2.0,
        "otel_llm.stream.outcome": "complete",
    }
    assert expected.items() <= found.items()
    (gaps,) = seen.points(metric_name("inter_token_latency"))
    assert (gaps.count, gaps.sum) == (3, 2.0)


def test_of_a_call_that_gives_all_at_once_the_engine_says_when_its_tokens_were_there(
    seen: Seen, clock: FakeClock
) -> None:
    LLM(clock, stats=True).generate(["a", "b"], Params())
    found = dict(seen.span().attributes or {})
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (6, 10)
    assert found["otel_llm.time_to_first_token"] == pytest.approx(0.5)
    assert found["otel_llm.record.flags"] == ("not_streamed",)
    assert "gen_ai.response.time_to_first_chunk" not in found
    assert seen.seconds() == 2


def test_without_statistics_there_is_no_first_token_and_a_chat_is_one_call(seen: Seen, clock: FakeClock) -> None:
    LLM(clock, stats=False).chat([{"role": "user", "content": "hi"}])
    span = seen.span()
    assert span.name == "chat tiny"
    assert "otel_llm.time_to_first_token" not in (span.attributes or {})
    assert (span.attributes or {})["gen_ai.usage.output_tokens"] == 5

"""The first call of a process measures the same as the tenth: what is done once is done before its clock starts.

Time is told in function calls here: the clock shows how many Python functions were called so far. A machine that is
busy does not change that, and an import, a look-up of a version or a comparison of histograms is thousands of them.
"""

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

import otel_llm
from otel_llm.models import huggingface
from otel_llm.testing import FakeClock
from tests.telemetry_in_memory import Seen

CLOCK = """
import json, sys
import otel_llm
from otel_llm.clock import SYSTEM
from otel_llm.instrumentation.calls.destination import DESTINATION

class FunctionCalls:
    count = 0

    def note(self, frame, event, argument):
        self.count += event in ("call", "c_call")

    def now_ns(self):
        return self.count * 1_000_000_000

    wall_ns = staticmethod(SYSTEM.wall_ns)

clock = DESTINATION.clock = FunctionCalls()
"""

SDK = """
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

tracers = TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
trace.set_tracer_provider(tracers)
exponential = InMemoryMetricReader(preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()})
metrics.set_meter_provider(MeterProvider([InMemoryMetricReader(), exponential]))
"""

MEASURE = """
sys.setprofile(clock.note)
found = []
for _ in range(10):
    made = call()
    found.append((made.time_to_first_token, made.generation_latency))
sys.setprofile(None)
print(json.dumps(found))
"""

WAYS = {
    "observe": """
observing = otel_llm.observe(model="m")
def call():
    with observing as observation:
        observation.mark()
    return otel_llm.last_metrics()
""",
    "metrics": """
@otel_llm.metrics(model="m")
def stream():
    yield "a"
    yield "b"
def call():
    list(stream())
    return stream.last_metrics
""",
    "instrument": """
class Theirs:
    def generate(self):
        yield "a"
otel_llm.instrument(Theirs, "generate", model="m")
def call():
    list(Theirs().generate())
    return otel_llm.last_metrics()
""",
    "BaseLLM": """
class Mine(otel_llm.BaseLLM):
    def stream(self, task=None):
        yield "a"
mine = Mine("m")
def call():
    list(mine.stream("x"))
    return mine.metrics()
""",
    "a call inside a call": """
@otel_llm.metrics(model="inner")
def inner():
    yield "a"
@otel_llm.metrics(model="outer")
def outer():
    yield from inner()
    yield from inner()
def call():
    list(outer())
    return outer.last_metrics
""",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sdk", ["no SDK", "an SDK before", "an SDK after"])
def test_the_first_call_takes_about_as_many_function_calls_as_the_tenth(way: str, sdk: str) -> None:
    before, after = SDK * (sdk == "an SDK before"), SDK * (sdk == "an SDK after")
    program = before + CLOCK + WAYS[way] + after + MEASURE
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    first, *_, tenth = json.loads(done.stdout)
    for once, again in zip(first, tenth, strict=True):
        assert again > 0
        assert once <= 3 * again


OURS = """
note = FunctionCalls.note
def ours(self, frame, event, argument):
    if frame.f_globals.get("__name__", "").startswith(("otel_llm.instrumentation", "opentelemetry", "wrapt")):
        note(self, frame, event, argument)
FunctionCalls.note = ours
"""
ANTHROPIC = """
import anthropic
from otel_llm.testing import ScriptedServer
from tests.instrumentation.test_libraries import ASKED, STREAM
otel_llm.instrument(include=["anthropic"])
server = ScriptedServer(STREAM).__enter__()
client = anthropic.Anthropic(base_url=server.url, api_key="none")
def call():
    with client.messages.stream(**ASKED) as stream:
        stream.get_final_text()
    return otel_llm.last_metrics()
"""


def test_of_what_a_library_does_once_nothing_is_ours() -> None:
    """The first stream of anthropic builds its types, which the caller waits for: only our own doing is told here."""
    program = SDK + CLOCK + OURS + ANTHROPIC + MEASURE.replace("range(10)", "range(2)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    (first, _), (second, _) = json.loads(done.stdout)
    assert 0 < first <= 2 * second


class Ids(list[list[int]]):
    """As much of a tensor of token ids as generating needs."""

    shape = (1, 1)
    device = "cpu"

    def to(self, device: str) -> "Ids":
        return self

    def sum(self) -> int:
        return 1

    def numel(self) -> int:
        return 1

    def tolist(self) -> list[list[int]]:
        return [[5, 6]]

    def __getitem__(self, _: Any) -> Any:
        return self


def test_loading_a_model_is_no_part_of_the_call_that_needs_it(
    seen: Seen, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any, **__: Any) -> Any:
        clock.advance(seconds=30)
        return model

    def generate(streamer: Any, **_: Any) -> Ids:
        for _ in range(3):  # the prompt, and two tokens
            clock.advance(seconds=0.5)
            streamer.put(Ids())
        return Ids()

    def tokenizer(*_: Any, **__: Any) -> dict[str, Ids]:
        return {"input_ids": Ids(), "attention_mask": Ids()}

    model = SimpleNamespace(
        generate=generate, eval=lambda: None, device="cpu", generation_config=SimpleNamespace(eos_token_id=None)
    )
    tokenizer.pad_token_id, tokenizer.chat_template = 0, None  # type: ignore[attr-defined]
    tokenizer.batch_decode = lambda *_, **__: ["text"]  # type: ignore[attr-defined]
    given = SimpleNamespace(
        AutoModelForCausalLM=SimpleNamespace(from_pretrained=load),
        AutoTokenizer=SimpleNamespace(from_pretrained=lambda _: tokenizer),
    )
    monkeypatch.setattr(huggingface, "_transformers", lambda: given)
    llm = huggingface.HuggingFaceLLM("theirs")
    assert llm.run("hi") == "text"
    first = llm.metrics()
    assert llm.run("hi") == "text"
    again = llm.metrics()
    assert first is not None
    assert first == again
    assert first.generation_latency == 1.5
    assert [round((s.end_time or 0) - (s.start_time or 0), -8) / 1e9 for s in seen.spans] == [31.5, 1.5]


def test_a_clock_that_has_shown_something_is_not_started_again(seen: Seen, clock: FakeClock) -> None:
    with otel_llm.observe(model="m") as call:
        clock.advance(seconds=1)
        call.restart()
        clock.advance(seconds=2)
        call.mark()
        clock.advance(seconds=4)
        call.restart()
    last = otel_llm.last_metrics()
    assert last is not None
    assert (last.time_to_first_token, last.generation_latency) == (2, 6)

"""`BaseLLM`: every parameter and every method of swarms' `BaseLLM` page, and that it measures by itself, once."""

import asyncio
import inspect
import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

import otel_llm
from otel_llm import BaseLLM
from otel_llm.errors import ConfigError
from otel_llm.models.parameters import NAMES
from otel_llm.testing import FakeClock
from tests.vocabulary import metric_name

VALUES = {name: f"<{name}>" for name in NAMES} | {"num_beams": "<beam_width>"}


class Echo(BaseLLM):
    """Answers in upper case; takes a second on the clock it was given."""

    clock: FakeClock | None = None

    def run(self, task: str | None = None, *args: Any, **kwargs: Any) -> str:
        if self.clock is not None:
            self.clock.advance(seconds=1)
        return (task or "").upper() + "".join(map(str, args)) + "".join(kwargs)


class Careless(BaseLLM):
    """Never calls super().__init__."""

    def __init__(self) -> None:
        pass

    def run(self, task: str | None = None) -> str:
        return "done"


class Streaming(BaseLLM):
    def __init__(self, clock: FakeClock, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.clock = clock

    def stream(self, task: str | None = None) -> Iterator[str]:
        for word in ("one ", "two ", "three"):
            self.clock.advance(seconds=0.1)
            yield word

    async def astream(self, task: str | None = None) -> AsyncIterator[str]:
        for word in ("one ", "two "):
            self.clock.advance(seconds=0.1)
            yield word


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_stored(name: str) -> None:
    """S2.1: 23 parameters, None by default, each an attribute, none checked."""
    assert getattr(BaseLLM(), name) is None
    assert getattr(BaseLLM(**{name: VALUES[name]}), name) == VALUES[name]


def test_parameters_are_those_of_swarms() -> None:
    """S2.1: in its order, an unknown one is refused; `history` is a list of one's own."""
    parameters = list(inspect.signature(BaseLLM.__init__).parameters.values())[1:]
    assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == list(NAMES)
    assert len(NAMES) == 23
    assert (BaseLLM().history, Careless().history) == ([], [])
    assert BaseLLM().history is not BaseLLM().history
    with pytest.raises(TypeError, match="unknown_parameter"):
        BaseLLM(unknown_parameter=1)  # type: ignore[call-arg]


def test_repetition_penalty_has_two_spellings() -> None:
    """The printed spelling `repition_penalty` and the right one are the same value. (S2.2)"""
    model = BaseLLM(repetition_penalty=1.2)
    assert model.repition_penalty == 1.2
    model.repition_penalty = 1.3
    assert model.repetition_penalty == 1.3
    model.repetition_penalty = 1.4
    assert model.repition_penalty == 1.4
    assert BaseLLM(repition_penalty=1.0, repetition_penalty=1.0).repition_penalty == 1.0
    with pytest.raises(ValueError, match="repition_penalty"):
        BaseLLM(repition_penalty=1.0, repetition_penalty=2.0)


def test_beams_are_one_parameter_and_lengths_are_two() -> None:
    """S2.3: beam_width and num_beams are the same; max_tokens and max_length, stop_token and eos_token_id are not."""
    model = BaseLLM(num_beams=4, max_tokens=10, stop_token="\n")
    assert (model.beam_width, model.num_beams) == (4, 4)
    model.set_num_beams(num_beams=2)
    assert model.beam_width == 2
    assert (model.max_length, model.eos_token_id) == (None, None)
    with pytest.raises(ValueError, match="beam_width"):
        BaseLLM(beam_width=2, num_beams=3)


def test_run_takes_a_backend_or_says_what_to_do(seen: Any) -> None:
    """`run` asks the backend; without one it says how to get an answer. (S2.4)"""

    class Backend:
        def run(self, task: str) -> str:
            return task[::-1]

    assert BaseLLM(backend=lambda task: task * 2).run("ab") == "abab"
    assert BaseLLM(backend=Backend()).run("ab") == "ba"
    with pytest.raises(NotImplementedError, match="backend"):
        BaseLLM().run("ab")


def test_a_subclass_is_measured_without_being_decorated(seen: Any) -> None:
    """S1.11, and that without super().__init__ too."""
    assert Careless().run("x") == "done"
    model = Echo(model_name="echo")
    model.run("x")
    assert [span.name for span in seen.spans] == ["chat", "chat echo"]
    assert model.run.last_metrics is not None  # type: ignore[attr-defined]


def test_arun_passes_everything_keeps_the_parent_and_does_not_block(seen: Any, parent: trace.Span) -> None:
    """`arun` is `run` in a thread: all arguments arrive and the caller's span is the parent. (S2.5)"""

    class Slow(Echo):
        def run(self, task: str | None = None, *args: Any, **kwargs: Any) -> str:
            release.wait(5)
            assert threading.current_thread() is not threading.main_thread()
            return super().run(task, *args, **kwargs)

    release = threading.Event()
    model = Slow(model_name="slow")

    async def main() -> str:
        task = asyncio.create_task(model.arun("a", 1, flag=True))
        await asyncio.sleep(0)
        release.set()
        result = await task
        await model.arun("b")
        assert otel_llm.last_metrics() is not None
        return str(result)

    assert asyncio.run(main()) == "A1flag"
    spans = seen.spans
    assert [span.name for span in spans] == ["chat slow", "chat slow"], "super().run is part of the same call"
    assert all(span.parent.span_id == parent.get_span_context().span_id for span in spans)


def test_batches_keep_order_and_arguments(seen: Any) -> None:
    """`batch_run` answers in the order of the tasks and passes on all arguments. (S2.6)"""
    model = Echo()
    assert model.batch_run(["a", "b"], 1) == ["A1", "B1"]
    assert model.batch_run([]) == []
    assert model.batch_run(list("abcdefgh"), max_workers=4) == list("ABCDEFGH")
    assert len(seen.spans) == 10


def test_async_batches_run_at_the_same_time(seen: Any) -> None:
    """S2.7: all eight are under way at once; one failure does not lose the rest."""
    under_way = 0
    most = 0

    class Waits(BaseLLM):
        async def arun(self, task: str | None = None, *args: Any, **kwargs: Any) -> str:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1
            if task == "bad":
                raise ConnectionError
            return str(task)

    model = Waits()
    assert asyncio.run(model.abatch_run(list("abcdefgh"))) == list("abcdefgh")
    assert most == 8
    most = 0
    assert asyncio.run(model.abatch_run(list("abcdefgh"), max_concurrency=2)) == list("abcdefgh")
    assert most == 2
    results = asyncio.run(model.abatch_run(["a", "bad", "c"], return_exceptions=True))
    assert (results[0], type(results[1]), results[2]) == ("a", ConnectionError, "c")
    with pytest.raises(ConnectionError):
        asyncio.run(model.abatch_run(["a", "bad"]))
    assert asyncio.run(model.abatch_run([])) == []


def test_chat_keeps_the_conversation(seen: Any) -> None:
    """`chat` sends the history that it is given, or its own, and keeps both turns. (S2.8)"""
    prompts: list[str] = []

    def answer(prompt: str) -> str:
        prompts.append(prompt)
        return f"answer {len(prompts)}"

    model = BaseLLM(backend=answer)
    assert model.chat("first") == "answer 1"
    assert model.chat("second") == "answer 2"
    assert prompts == ["first", "user: first\nassistant: answer 1\nuser: second"]
    assert [turn["role"] for turn in model.history] == ["user", "assistant"] * 2
    model.chat("third", history="what was said before")
    assert prompts[-1] == "what was said before\nuser: third"
    model.chat("fourth", history=model.history)
    assert prompts[-1].count("first") == 1
    model.clear_history()
    model.system_prompt, model.role = "Be brief.", "customer"
    model.chat("fifth")
    assert prompts[-1] == "system: Be brief.\ncustomer: fifth"
    assert model.history[0] == {"role": "customer", "content": "fifth"}
    assert len(seen.spans) == 5


def test_calling_the_model_is_one_measurement(seen: Any) -> None:
    """A call of the instance is `run`, measured once. (S2.9)"""
    assert Echo()("a", 1) == "A1"
    assert len(seen.spans) == 1
    assert seen.points(metric_name("operation_duration"))[0].count == 1


def test_tokens_per_second(seen: Any, clock: FakeClock) -> None:
    """S2.10: 0.0 before a run, and where no time passed."""
    model = Echo()
    assert model._tokens_per_second() == 0.0
    model.run("a b")
    assert model._tokens_per_second() == 0.0
    model.clock = clock
    model.run("four words of text")
    assert model._tokens_per_second() == 4.0
    model.tokenizer = len
    model.run("four words of text")
    assert model._tokens_per_second() == 18.0
    assert model.metrics() is not None
    assert model.metrics().token_source == "counted"  # type: ignore[union-attr]


def test_num_tokens() -> None:
    """S2.11: exact with a tokenizer, else words and punctuation."""

    class Tokenizer:
        def encode(self, text: str) -> list[int]:
            return list(text.encode())

    assert BaseLLM()._num_tokens("Hello, world!") == 4
    assert BaseLLM(tokenizer=Tokenizer())._num_tokens("né") == 3
    assert BaseLLM(tokenizer=lambda text: 7)._num_tokens("né") == 7


def test_generation_time(seen: Any, clock: FakeClock) -> None:
    """S2.12, S2.13: seconds of the last generation, however it was asked for."""
    model = Echo()
    assert model.get_generation_time() == 0.0
    assert isinstance(model.get_generation_time(), float)
    model.clock = clock
    assert model._time_for_generation("x") == 1.0
    assert model.get_generation_time() == 1.0
    model.clock = None
    model.run("x")
    assert model.get_generation_time() == 0.0
    model.clock = clock
    asyncio.run(model.arun("x"))
    assert model.get_generation_time() == 1.0


def test_a_summary_is_asked_of_the_model(seen: Any) -> None:
    """`generate_summary` puts the text to the model. (S2.14)"""
    assert "THE TEXT" in Echo().generate_summary("the text")


SETTERS = [
    *("max_length", "model_name", "frequency_penalty", "presence_penalty", "stop_token", "length_penalty", "role"),
    *("top_k", "top_p", "num_beams", "do_sample", "early_stopping", "seed", "device"),
]


@pytest.mark.parametrize("name", ["temperature", "max_tokens", *SETTERS])
def test_setters(name: str, seen: Any) -> None:
    """S2.15: by keyword, None allowed, and the next span carries the new value."""
    model = Echo()
    keyword = "value" if name in ("temperature", "max_tokens") else name
    new = 7 if name == "top_k" else "new"  # the convention has a whole number there, and nothing else
    getattr(model, f"set_{name}")(**{keyword: new})
    assert getattr(model, name) == new
    model.run("x")
    assert any(new in (sent if isinstance(sent, tuple) else (sent,)) for sent in seen.span().attributes.values())
    getattr(model, f"set_{name}")(**{keyword: None})
    assert getattr(model, name) is None


def test_all_setters_of_swarms_are_there() -> None:
    """The 16 setters of swarms' `BaseLLM` page. (S2.15)"""
    assert len([name for name in dir(BaseLLM) if name.startswith("set_")]) == 2 + len(SETTERS)


def test_clear_history() -> None:
    """`clear_history` empties the list of turns. (S2.16)"""
    model = BaseLLM(backend=str.upper)
    model.chat("x")
    model.clear_history()
    assert model.history == []


def test_logging_goes_to_files_of_its_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """S2.17, S2.18: two models, two files; the root logger keeps its handlers and its level."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    one, two, three = BaseLLM(), BaseLLM(), BaseLLM()
    one.enable_logging(str(tmp_path / "one.log"))
    one.enable_logging(log_file=str(tmp_path / "one.log"))
    two.enable_logging(str(tmp_path / "two.log"))
    one.log_event("first")
    two.log_event("second")
    with caplog.at_level(logging.INFO, "otel_llm"):
        three.log_event("third")
    import re

    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - first\n", (tmp_path / "one.log").read_text())
    assert "second" in (tmp_path / "two.log").read_text()
    assert "third" in caplog.text
    assert (root.handlers, root.level) == (handlers, level)
    assert one.log_file == str(tmp_path / "one.log")


def test_checkpoints_are_a_round_trip(tmp_path: Path) -> None:
    """S2.19, S2.20: all 24 fields, in a JSON file of its own name each time."""
    model = Echo(**{name: VALUES[name] for name in NAMES})
    model.history = [{"role": "user", "content": "hi"}]
    first, second = model.save_checkpoint(tmp_path / "new"), model.save_checkpoint(str(tmp_path / "new"))
    assert first != second
    assert first.suffix == second.suffix == ".ckpt"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted((first.name, second.name))
    assert json.loads(first.read_text())["version"] == 1
    other = Echo(temperature=0.1)
    other.load_checkpoint(first)
    assert {name: getattr(other, name) for name in NAMES} == VALUES
    assert other.history == model.history


class WithState(BaseLLM):
    adapter = "none"

    def checkpoint_state(self) -> dict[str, Any]:
        return {"adapter": self.adapter}

    def restore_state(self, state: Any) -> None:
        self.adapter = state["adapter"]


def test_a_subclass_adds_to_its_checkpoint(tmp_path: Path) -> None:
    """A checkpoint holds what the subclass adds to the state. (S2.19)"""
    model, other = WithState(), WithState()
    model.adapter = "lora"
    other.load_checkpoint(model.save_checkpoint(tmp_path))
    assert other.adapter == "lora"


BAD = [
    b"not json",
    b"[]",
    b"{}",
    b'{"format": "otel_llm.checkpoint", "version": 99, "parameters": {}, "history": []}',
    b'{"format": "otel_llm.checkpoint", "version": 1}',
]


@pytest.mark.parametrize("content", BAD)
def test_a_checkpoint_that_cannot_be_used_changes_nothing(content: bytes, tmp_path: Path) -> None:
    """A missing or damaged checkpoint is an error and leaves the model as it was. (S2.20)"""
    path = tmp_path / "bad.ckpt"
    path.write_bytes(content)
    model = BaseLLM(temperature=0.5)
    with pytest.raises(ConfigError, match=r"bad\.ckpt"):
        model.load_checkpoint(path)
    with pytest.raises(FileNotFoundError):
        model.load_checkpoint(tmp_path / "missing.ckpt")
    assert model.temperature == 0.5


def test_creative_mode_restores_exactly(tmp_path: Path) -> None:
    """S2.21: also when switched on twice, and through a checkpoint."""
    model = BaseLLM(temperature=0.1)
    model.toggle_creative_mode(True)
    model.toggle_creative_mode(True)
    assert (model.creative_mode, model.do_sample, model.temperature, model.top_p) == (True, True, 0.9, 0.95)
    other = BaseLLM()
    other.load_checkpoint(model.save_checkpoint(tmp_path))
    for creative in (model, other):
        creative.toggle_creative_mode(False)
        creative.toggle_creative_mode(enable=False)
        assert (creative.creative_mode, creative.do_sample, creative.temperature, creative.top_p) == (
            False,
            None,
            0.1,
            None,
        )


def test_resources_are_a_report_that_reads(seen: Any) -> None:
    """`track_resource_utilization` reports processor, memory and threads, as numbers and as text. (S2.22)"""
    report = BaseLLM().track_resource_utilization()
    assert report.memory > 5 * 2**20
    assert report.threads >= 1
    assert report.cpu_seconds > 0
    assert 0 <= report.cpu_percent < 100_000
    assert "CPU" in str(report)
    assert "MiB" in str(report)


def test_resources_are_gauges(seen: Any) -> None:
    """The same resources are OpenTelemetry gauges, made once per provider. (S2.22)"""
    from otel_llm.models.resources import observe_resources

    observe_resources(seen.meters)
    observe_resources(seen.meters)
    (memory,) = seen.points("process.memory.usage")
    assert memory.value > 5 * 2**20


def test_every_provider_has_the_gauges_however_many_came_and_went_before() -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    from otel_llm.models.resources import observe_resources

    for _ in range(20):  # the memory of one that is gone, and its id, are soon another's
        reader = InMemoryMetricReader()
        provider = MeterProvider([reader], shutdown_on_exit=False)
        observe_resources(provider)
        data = reader.get_metrics_data()
        assert data is not None
        metrics = data.resource_metrics[0].scope_metrics[0].metrics
        assert "process.memory.usage" in {metric.name for metric in metrics}
        provider.shutdown()
        del provider, reader, data, metrics


def test_the_four_metrics_methods(seen: Any, clock: FakeClock) -> None:
    """`metrics`, `time_to_first_token`, `generation_latency` and `throughput` of a model. (S2.23)"""
    model = Streaming(clock)
    assert model.metrics() is None
    assert model.time_to_first_token("x") == pytest.approx(0.1)
    assert model.generation_latency("x") == pytest.approx(0.3)
    assert model.throughput(["x", "y"]) == pytest.approx(10.0)
    assert model.throughput([]) == 0.0
    assert Echo().time_to_first_token("x") is None


def test_all_methods_of_swarms_are_there() -> None:
    """S2.24: 34 of them."""
    named = """run arun batch_run abatch_run chat __call__ _tokens_per_second _num_tokens _time_for_generation
    generate_summary clear_history enable_logging log_event save_checkpoint load_checkpoint toggle_creative_mode
    track_resource_utilization get_generation_time""".split()  # noqa: SIM905
    assert len(named) + 2 + len(SETTERS) == 34
    assert all(callable(getattr(BaseLLM, name)) for name in named)


def test_streams_are_measured_once_and_run_joins_them(seen: Any, clock: FakeClock) -> None:
    model = Streaming(clock, model_name="s")
    assert model.run("x") == "one two three"
    assert model.metrics() is not None
    assert model.metrics().time_to_first_token == pytest.approx(0.1)  # type: ignore[union-attr]
    assert list(model.stream("x")) == ["one ", "two ", "three"]

    async def consume(model: BaseLLM) -> list[str]:
        return [piece async for piece in model.astream("x")]

    assert asyncio.run(consume(model)) == ["one ", "two "]
    assert asyncio.run(consume(Echo())) == ["X"]
    assert list(Echo().stream("x")) == ["X"]
    assert [span.name for span in seen.spans] == ["chat s", "chat s", "chat s", "chat", "chat"]


def test_a_decorated_override_keeps_its_options_and_is_measured_once(seen: Any) -> None:
    class Mine(BaseLLM):
        @otel_llm.metrics(provider="me", tokens=len)
        def run(self, task: str | None = None) -> str:
            return "abc"

    model = Mine(model_name="m", temperature=0.3)
    model("x")
    attributes = seen.span().attributes
    assert attributes["gen_ai.request.temperature"] == 0.3
    assert model.metrics() is not None
    assert model.metrics().output_tokens == 3  # type: ignore[union-attr]


def test_a_system_prompt_is_content_and_stays_off_the_span(seen: Any) -> None:
    Echo(system_prompt="secret").run("x")
    assert "secret" not in str(seen.span().attributes)

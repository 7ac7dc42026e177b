"""`generate` of transformers, as it is, in every decoding mode. `make test-models` has what it needs."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_llm
from otel_llm.clock import now_ns
from tests.telemetry_in_memory import Seen
from tests.vocabulary import metric_name

torch = pytest.importorskip("torch", reason="needs the model libraries: make test-models")
transformers = pytest.importorskip("transformers", reason="needs the model libraries: make test-models")

NEW = 12


@pytest.fixture(autouse=True)
def _instrumented() -> Iterator[None]:
    before = transformers.GenerationMixin.__dict__["generate"]
    otel_llm.instrument(include=["transformers"])
    yield
    otel_llm.uninstrument()
    assert transformers.GenerationMixin.__dict__["generate"] is before


@pytest.fixture(scope="module")
def llama(tiny: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(tiny).eval()


@pytest.fixture(scope="module")
def slow() -> Any:
    """A model whose prompt takes many times what a token takes."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = transformers.LlamaConfig(
        hidden_size=128, intermediate_size=256, num_hidden_layers=4, num_attention_heads=4, vocab_size=500,
        max_position_embeddings=2048, bos_token_id=1, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def t5() -> Any:
    torch.manual_seed(0)
    config = transformers.T5Config(
        d_model=64, d_ff=128, num_layers=2, num_heads=2, vocab_size=500, decoder_start_token_id=0, eos_token_id=None,
        pad_token_id=0,
    )  # fmt: skip
    return transformers.T5ForConditionalGeneration(config).eval()


class Stamps:
    """A streamer that notes when it is given tokens."""

    def __init__(self) -> None:
        self.at_ns: list[int] = []
        self.tokens: list[int] = []
        self.ended = False

    def put(self, value: Any) -> None:
        self.at_ns.append(now_ns())
        self.tokens += value.reshape(-1).tolist()

    def end(self) -> None:
        self.ended = True


def prompt(rows: int = 1, columns: int = 400) -> Any:
    torch.manual_seed(1)
    return torch.randint(3, 300, (rows, columns))


def attributes(seen: Seen) -> Any:
    return seen.span().attributes


MODES: Any = {
    "greedy": (1, {}, 1),
    "sampling": (1, {"do_sample": True}, 1),
    "batch": (3, {}, 3),
    "num_return_sequences": (1, {"do_sample": True, "num_return_sequences": 2}, 2),
    "beams": (2, {"num_beams": 3}, 2),
    "beams and num_return_sequences": (1, {"num_beams": 4, "num_return_sequences": 2}, 2),
    "prompt lookup": (1, {"prompt_lookup_num_tokens": 3}, 1),
    "assisted": (1, {"assistant_model": "itself"}, 1),
}


@pytest.mark.parametrize("mode", MODES)
def test_the_first_token_and_the_number_of_them(mode: str, slow: Any, seen_live: Seen) -> None:
    rows, settings, sequences = MODES[mode]
    if "assistant_model" in settings:
        config = transformers.LlamaConfig(**{**slow.config.to_dict(), "num_hidden_layers": 1})
        settings = {"assistant_model": transformers.LlamaForCausalLM(config).eval()}
    ids = prompt(rows)
    asked = {"max_new_tokens": NEW, "min_new_tokens": NEW, "attention_mask": torch.ones_like(ids), **settings}
    slow.generate(ids, **asked)
    seen_live.exporter.clear()
    out = slow.generate(ids, **asked)
    assert out.shape == (sequences, 400 + NEW)
    span, found = seen_live.span(), attributes(seen_live)
    assert span.kind.name == "INTERNAL"
    assert found["gen_ai.usage.output_tokens"] == NEW * sequences
    assert found["gen_ai.usage.input_tokens"] == 400 * rows
    assert found["gen_ai.provider.name"] == "huggingface"
    first = found["otel_llm.time_to_first_token"]
    assert seen_live.seconds() / 30 < first < seen_live.seconds()
    assert not {"gen_ai.response.time_to_first_chunk", "gen_ai.request.stream"} & set(found)


@pytest.mark.parametrize("mode", ["greedy", "sampling", "batch", "num_return_sequences"])
@pytest.mark.parametrize("who", ["the caller's", "one we know nothing of"])
def test_it_is_the_first_token_that_a_streamer_sees(who: str, mode: str, slow: Any, monkeypatch: Any) -> None:
    """Within 10 %, in one and the same call: with the caller's streamer, and with one that is put in below us."""
    rows, settings, _ = MODES[mode]
    generate, streamer = transformers.GenerationMixin.__dict__["generate"].__wrapped__, Stamps()

    def streamed(self: Any, *args: Any, **kwargs: Any) -> Any:
        assert kwargs["stopping_criteria"]  # ours, as without a streamer
        return generate(self, *args, streamer=streamer, **kwargs)

    if who != "the caller's":
        otel_llm.uninstrument()
        monkeypatch.setattr(transformers.GenerationMixin, "generate", streamed)
        otel_llm.instrument(include=["transformers"])
    off = []
    for _ in range(4):
        streamer.__init__()  # type: ignore[misc]  # as new
        given = {"streamer": streamer} if who == "the caller's" else {}
        start = now_ns()
        slow.generate(prompt(rows, 600), max_new_tokens=NEW, **given, **settings)
        truth = (streamer.at_ns[1] - start) / 1e9
        metrics = otel_llm.last_metrics()
        assert metrics is not None
        assert metrics.time_to_first_token is not None
        assert streamer.ended
        off.append(abs(metrics.time_to_first_token - truth) / truth)
    otel_llm.uninstrument()
    monkeypatch.undo()
    assert min(off) < 0.1


def test_the_users_streamer_gets_all_and_is_what_is_stamped(llama: Any, tiny: Path, seen_live: Seen) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny)
    streamer = transformers.TextIteratorStreamer(tokenizer, skip_prompt=True)
    inputs = tokenizer("the quick fox", return_tensors="pt")
    asked = {**inputs, "max_new_tokens": NEW, "do_sample": False, "streamer": streamer, "eos_token_id": None}
    asked.pop("token_type_ids", None)
    with otel_llm.observe(operation="chat", model="outer"):
        thread = threading.Thread(target=otel_llm.bind_context(llama.generate), kwargs=asked)
        thread.start()
        text = "".join(streamer)
        thread.join()
    assert text
    inner, outer = seen_live.spans
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id
    assert (inner.attributes or {})["gen_ai.request.stream"] is True
    assert (inner.attributes or {})["gen_ai.usage.output_tokens"] == NEW


def test_an_encoder_and_a_decoder(t5: Any, seen_live: Seen) -> None:
    out = t5.generate(prompt(2, 64), max_new_tokens=NEW)
    assert out.shape == (2, NEW + 1)
    assert attributes(seen_live)["gen_ai.usage.output_tokens"] == 2 * NEW
    assert attributes(seen_live)["gen_ai.usage.input_tokens"] == 128


def test_neither_prompt_nor_padding_is_counted(slow: Any, seen_live: Seen) -> None:
    ids = prompt(3, 10)
    ids[1, :4] = 0
    mask = (ids != 0).long()
    plain = slow.generate(ids, attention_mask=mask, max_new_tokens=NEW, do_sample=False)
    end = int(plain[0, 13])  # the fourth new token of the first sequence ends whichever has it
    seen_live.exporter.clear()
    out = slow.generate(
        ids, attention_mask=mask, max_new_tokens=NEW, do_sample=False, eos_token_id=end, return_dict_in_generate=True
    ).sequences
    rows = [row[10:].tolist() for row in out]
    exact = sum(row.index(end) + 1 if end in row else len(row) for row in rows)
    assert attributes(seen_live)["gen_ai.usage.output_tokens"] == exact < 3 * NEW
    assert attributes(seen_live)["gen_ai.usage.input_tokens"] == 26


def test_the_users_criteria_hold_and_their_list_stays_theirs(slow: Any, seen_live: Seen) -> None:
    class Four(transformers.StoppingCriteria):  # type: ignore[misc,name-defined]
        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            return torch.full((input_ids.shape[0],), input_ids.shape[1] >= 24, dtype=torch.bool)

    theirs = transformers.StoppingCriteriaList([Four()])
    out = slow.generate(prompt(1, 20), None, None, theirs, max_new_tokens=NEW)
    assert out.shape == (1, 24)
    assert len(theirs) == 1
    assert attributes(seen_live)["gen_ai.usage.output_tokens"] == 4


def test_client_and_server_measures(slow: Any, seen_live: Seen) -> None:
    slow.generate(prompt(), max_new_tokens=NEW)
    for name in (
        metric_name("operation_duration"),
        metric_name("server_request_duration"),
        metric_name("server_time_to_first_token"),
        metric_name("server_time_per_output_token"),
        metric_name("time_to_first_token"),
    ):
        (point,) = seen_live.points(name)
        assert point.count == 1, name
    (gaps,) = seen_live.points(metric_name("inter_token_latency"))
    assert gaps.count == NEW - 1


def test_7_generate_inside_our_own_class_is_not_counted(tiny: Path, seen_live: Seen) -> None:
    model = otel_llm.models.HuggingFaceLLM(str(tiny), max_tokens=4, device="cpu", do_sample=False, eos_token_id=999)
    model.run("the quick fox")
    inner, outer = seen_live.spans
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id
    (tokens,) = [
        p for p in seen_live.points(metric_name("token_usage")) if p.attributes["gen_ai.token.type"] == "output"
    ]
    assert (tokens.count, tokens.sum) == (1, 4)


def test_an_error_is_the_callers_and_said(slow: Any, seen_live: Seen) -> None:
    with pytest.raises(ValueError, match="streamer"):
        slow.generate(prompt(), streamer=Stamps(), num_beams=2)
    assert seen_live.outcome() == "error"
    assert attributes(seen_live)["error.type"] == "ValueError"


def test_an_object_alone(tiny: Path, seen_live: Seen) -> None:
    otel_llm.uninstrument()
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny).eval()
    otel_llm.instrument(model, "generate", model="mine")
    model.generate(prompt(1, 8) % 40, max_new_tokens=2)
    assert seen_live.span().name == "chat mine"
    otel_llm.uninstrument(model)
    assert "generate" not in vars(model)


def test_a_batch_in_which_requests_come_and_go(slow: Any, seen_live: Seen) -> None:
    out = slow.generate_batch([[5, 6, 7], [8, 9]], max_new_tokens=5, warmup=False)
    assert {len(one.generated_tokens) for one in out.values()} == {5}
    found = attributes(seen_live)
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (5, 10)
    assert 0 < found["otel_llm.time_to_first_token"] < seen_live.seconds()
    assert "gen_ai.request.stream" not in found


def test_paged_generate_is_one_call_with_the_times_of_its_batch(slow: Any, seen_live: Seen) -> None:
    ids = prompt(2, 6)
    assert slow.generate(ids, cache_implementation="paged", max_new_tokens=5, do_sample=False, warmup=False) is not None
    (outer,) = [span for span in seen_live.spans if span.parent is None]
    assert outer.start_time is not None
    assert outer.end_time is not None
    found = outer.attributes or {}
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (12, 10)
    assert 0 < found["otel_llm.time_to_first_token"] < (outer.end_time - outer.start_time) / 1e9
    for name in (metric_name("operation_duration"), metric_name("server_time_to_first_token")):
        (point,) = seen_live.points(name)
        assert point.count == 1, name


def test_7_the_calls_of_a_draft_model_are_not_counted(slow: Any, seen_live: Seen, monkeypatch: Any) -> None:
    config = transformers.LlamaConfig(**{**slow.config.to_dict(), "num_hidden_layers": 1})
    draft = transformers.LlamaForCausalLM(config).eval()
    drafted: list[int] = []
    asked = draft.prepare_inputs_for_generation

    def prepare(*args: Any, **kwargs: Any) -> Any:
        drafted.append(1)
        return asked(*args, **kwargs)

    monkeypatch.setattr(draft, "prepare_inputs_for_generation", prepare)
    slow.generate(prompt(1, 20), assistant_model=draft, max_new_tokens=NEW, min_new_tokens=NEW, do_sample=False)
    assert drafted  # it did generate
    assert seen_live.span().name.startswith("text_completion")
    output = [p for p in seen_live.points(metric_name("token_usage")) if p.attributes["gen_ai.token.type"] == "output"]
    assert [(point.count, point.sum) for point in output] == [(1, NEW)]
    (gaps,) = seen_live.points(metric_name("inter_token_latency"))
    assert gaps.count == NEW - 1


def test_a_step_costs_little_more() -> None:
    """Ours among the loop's stopping criteria, by CPU time: 5 µs on top of the loop's own 8, says the benchmark."""
    from benchmarks.generate import criteria

    bare_us, ours_us = criteria(steps=200, rounds=20)
    assert 0 < ours_us - bare_us < 1.8 * bare_us


# -- pipelines -----------------------------------------------------------------------------------------------------


@pytest.fixture
def pipe(llama: Any, tiny: Path) -> Iterator[Any]:
    before = transformers.TextGenerationPipeline.__dict__["__call__"]
    made = transformers.pipeline(
        "text-generation", model=llama, tokenizer=transformers.AutoTokenizer.from_pretrained(tiny), device="cpu"
    )
    made.model.generation_config.eos_token_id = None
    yield made
    otel_llm.uninstrument()
    assert transformers.TextGenerationPipeline.__dict__["__call__"] is before.__wrapped__


@pytest.mark.parametrize("name", ["TextGenerationPipeline", "ImageTextToTextPipeline", "AnyToAnyPipeline"])
def test_pipelines_that_are_measured(name: str) -> None:
    kind = getattr(transformers, name)  # whose module is imported now, after instrumenting
    assert hasattr(kind.__call__, "last_metrics")
    otel_llm.uninstrument()
    assert not hasattr(kind.__dict__["__call__"], "last_metrics")


ASKED: Any = {"max_new_tokens": 4, "do_sample": False}


def frame(seen: Seen, calls: int) -> Any:
    """The span of the pipeline, around so many of `generate`; these are counted, and once."""
    (outer,) = [span for span in seen.spans if span.parent is None]
    inner = [span for span in seen.spans if span.parent is not None]
    assert len(inner) == calls
    assert {span.parent.span_id for span in inner if span.parent} == {outer.context.span_id if outer.context else 0}
    assert outer.kind.name == "INTERNAL"
    for name in (metric_name("operation_duration"), metric_name("server_time_to_first_token")):
        assert sum(point.count for point in seen.points(name)) == calls, name
    output = [p for p in seen.points(metric_name("token_usage")) if p.attributes["gen_ai.token.type"] == "output"]
    assert sum(point.sum for point in output) == 4 * calls
    assert {point.value for point in seen.points(metric_name("active_requests"))} == {0}
    return outer


def test_a_pipeline_is_a_span_around_generate_which_is_counted(pipe: Any, tiny: Path, seen_live: Seen) -> None:
    assert pipe("the quick fox", **ASKED)[0]["generated_text"].startswith("the quick fox")
    outer = frame(seen_live, 1)
    assert outer.name == f"text_completion {tiny}"
    assert outer.attributes["gen_ai.provider.name"] == "huggingface"
    assert outer.attributes["gen_ai.request.max_tokens"] == 4
    assert not {"otel_llm.time_to_first_token", "gen_ai.usage.output_tokens", "gen_ai.request.stream"} & {
        *outer.attributes
    }
    metrics = otel_llm.last_metrics()
    assert metrics is not None
    assert metrics.output_tokens == 4
    assert metrics.time_to_first_token is not None


def test_a_pipeline_over_many(pipe: Any, seen_live: Seen) -> None:
    assert len(pipe(["the quick fox", "a tiny model"], **ASKED)) == 2
    frame(seen_live, 2)


def test_a_pipeline_that_is_lazy(pipe: Any, seen_live: Seen) -> None:
    results = pipe((text for text in ("the quick fox", "a tiny model", "says nothing")), **ASKED)
    assert not [span for span in seen_live.spans if span.parent is None]
    assert len([result[0]["generated_text"] for result in results]) == 3
    outer = frame(seen_live, 3)
    assert outer.attributes["otel_llm.stream.outcome"] == "complete"
    assert "gen_ai.request.stream" not in outer.attributes


def test_a_pipeline_inside_a_call_of_ones_own(pipe: Any, seen_live: Seen) -> None:
    with otel_llm.observe(operation="chat", model="mine") as observation:
        pipe("the quick fox", **ASKED)
        observation.usage(output=4)
    assert len(seen_live.spans) == 3
    (duration,) = seen_live.points(metric_name("operation_duration"))
    assert duration.attributes["gen_ai.request.model"] == "mine"
    assert duration.count == 1


def test_a_pipeline_that_fails(pipe: Any, seen_live: Seen) -> None:
    with pytest.raises(ValueError, match="max_new_tokens"):
        pipe("the quick fox", max_new_tokens=-1)
    outer = next(span for span in seen_live.spans if span.parent is None)
    assert (outer.attributes or {})["error.type"] == "ValueError"
    (duration,) = seen_live.points(metric_name("operation_duration"))
    assert duration.count == 1

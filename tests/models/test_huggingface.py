"""`HuggingFaceLLM` on a tiny random model that is made on the spot. `make test-models` has what it needs."""

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest

from otel_llm.models import HuggingFaceLLM


@pytest.fixture
def model(tiny: Path) -> HuggingFaceLLM:
    return HuggingFaceLLM(str(tiny), max_tokens=12, device="cpu", do_sample=False, eos_token_id=999_999)


def test_tokens_are_exact_and_the_first_is_timed(model: HuggingFaceLLM, seen_live: Any) -> None:
    text = model.run("the quick fox")
    assert isinstance(text, str)
    measured = model.metrics()
    assert measured is not None
    assert (measured.output_tokens, measured.token_source) == (12, "provider")
    prompt = model.tokenizer("<user>the quick fox\n<assistant>", add_special_tokens=False)
    assert measured.input_tokens == len(prompt["input_ids"])
    assert measured.time_to_first_token is not None
    assert 0 < measured.time_to_first_token < measured.generation_latency
    assert len(measured.inter_token_latencies) == 11
    attributes = seen_live.span().attributes
    assert attributes["gen_ai.provider.name"] == "huggingface"
    assert attributes["gen_ai.request.max_tokens"] == 12
    assert model._num_tokens("the quick fox") == len(model.tokenizer.encode("the quick fox"))


def test_a_stream_brings_the_same_text_and_its_first_token_is_true(model: HuggingFaceLLM, seen_live: Any) -> None:
    """Stamped when it is generated: after the first forward pass."""
    whole = model.run("the quick fox")
    prefill = Prefill(model.model)
    pieces = list(model.stream("the quick fox"))
    assert "".join(pieces).strip() == whole.strip()
    measured = model.metrics()
    assert measured is not None
    assert measured.output_tokens == 12
    assert measured.time_to_first_token is not None
    assert prefill.seconds[0] <= measured.time_to_first_token < measured.generation_latency
    assert sum(prefill.seconds) <= measured.generation_latency
    assert len(seen_live.spans) == 2


class Prefill:
    """Times every forward pass of a model."""

    def __init__(self, model: Any) -> None:
        from otel_llm.clock import now_ns

        self.seconds: list[float] = []
        starts: list[int] = []
        model.register_forward_pre_hook(lambda *_: starts.append(now_ns()))
        model.register_forward_hook(lambda *_: self.seconds.append((now_ns() - starts[-1]) / 1e9))


def test_a_batch_is_right_and_one_call(model: HuggingFaceLLM, seen_live: Any) -> None:
    tasks = ["the quick fox", "a dog", "nothing of note at all"]
    apart = [model.run(task) for task in tasks]
    seen_live.exporter.clear()
    assert model.batch_run(tasks) == apart
    assert model.batch_run([]) == []
    (span, *_) = seen_live.spans
    assert span.attributes["gen_ai.usage.output_tokens"] == 36


def test_the_chat_template_is_used(model: HuggingFaceLLM, seen_live: Any) -> None:
    model.system_prompt = "be brief"
    model.load()
    assert model._text("hi") == "<system>be brief\n<user>hi\n<assistant>"
    model.chat("hi")
    model.chat("more")
    assert len(model.history) == 4
    model.chat_template, model.system_prompt = False, None
    assert model._text("hi") == "hi"


def test_beams_have_no_first_token_and_several_sequences_are_a_list(model: HuggingFaceLLM, seen_live: Any) -> None:
    model.num_beams = 2
    assert isinstance(model.run("the fox"), str)
    assert model.metrics() is not None
    assert model.metrics().time_to_first_token is None  # type: ignore[union-attr]
    model.num_return_sequences = 2
    assert len(model.run("the fox")) == 2


def test_padding_after_the_end_is_not_counted(model: HuggingFaceLLM) -> None:
    import torch

    model.load()
    model.eos_token_id = 2
    assert model._count(torch.tensor([[5, 2, 3, 3], [5, 6, 7, 8]])) == 6


def test_a_reader_that_leaves_stops_the_model(model: HuggingFaceLLM, seen_live: Any) -> None:
    model.max_tokens = 400
    for _ in model.stream("the quick fox"):
        break
    gc.collect()
    attributes = seen_live.span().attributes
    assert attributes["otel_llm.stream.outcome"] == "abandoned"
    assert model.metrics() is not None
    assert (model.metrics().output_tokens or 0) < 400  # type: ignore[union-attr]


def test_it_streams_to_asyncio(model: HuggingFaceLLM, seen_live: Any) -> None:
    async def consume() -> str:
        return "".join([piece async for piece in model.astream("the quick fox")])

    assert asyncio.run(consume()).strip() == model.run("the quick fox").strip()


def test_an_error_in_the_thread_is_raised_to_the_reader(model: HuggingFaceLLM, seen_live: Any) -> None:
    with pytest.raises(ValueError, match="no_such_option"):
        list(model.stream("x", no_such_option=1))
    assert seen_live.span().attributes["otel_llm.stream.outcome"] == "error"

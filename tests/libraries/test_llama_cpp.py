"""The real `llama_cpp` with a tiny model made on the spot, in this process. `make test-libraries` has what it needs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import otel_llm
from tests.telemetry_in_memory import Seen
from tests.vocabulary import metric_name

llama_cpp = pytest.importorskip("llama_cpp", reason="needs the libraries: make test-libraries")

from tests.models import tiny_gguf  # noqa: E402

NAMES = ("create_chat_completion", "create_completion", "__call__", "create_embedding")


@pytest.fixture(autouse=True)
def _instrumented() -> Iterator[None]:
    before = [llama_cpp.Llama.__dict__[name] for name in NAMES]
    otel_llm.instrument(include=["llama_cpp"])
    yield
    otel_llm.uninstrument()
    assert all(llama_cpp.Llama.__dict__[name] is function for name, function in zip(NAMES, before, strict=True))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("llama") / "tiny.gguf"
    tiny_gguf.write(Path(path))
    return llama_cpp.Llama(str(path), n_ctx=128, verbose=False, seed=1)


ASKED: Any = {"max_tokens": 6, "temperature": 0.0}
MESSAGES: Any = [{"role": "user", "content": "the quick brown"}]
WAYS: dict[str, Any] = {
    "chat": lambda llama, **more: llama.create_chat_completion(MESSAGES, **ASKED, **more),
    "text_completion": lambda llama, **more: llama.create_completion("the quick brown", **ASKED, **more),
    "text_completion, called": lambda llama, **more: llama("the quick brown", **ASKED, **more),
}


@pytest.mark.parametrize(("way", "ask"), WAYS.items(), ids=WAYS)
def test_a_call_that_does_not_stream_has_a_first_token_and_every_other(
    way: str, ask: Any, llama: Any, seen_live: Seen
) -> None:
    answer = ask(llama)
    span = seen_live.span()
    found = dict(span.attributes or {})
    assert (span.name, span.kind.name) == (f"{way.partition(',')[0]} tiny.gguf", "INTERNAL")
    assert found["gen_ai.usage.input_tokens"] == answer["usage"]["prompt_tokens"] > 0
    assert found["gen_ai.usage.output_tokens"] == answer["usage"]["completion_tokens"] == 6
    assert found["gen_ai.request.max_tokens"] == 6
    assert found["gen_ai.provider.name"] == "llama_cpp"
    assert found["otel_llm.record.flags"] == ("not_streamed",)
    assert 0 < found["otel_llm.time_to_first_token"] < ((span.end_time or 0) - (span.start_time or 0)) / 1e9
    (gaps,) = seen_live.points(metric_name("inter_token_latency"))
    assert gaps.count == 5
    assert "generate" not in vars(llama)


@pytest.mark.parametrize(("way", "ask"), WAYS.items(), ids=WAYS)
def test_a_stream_has_its_tokens_counted(way: str, ask: Any, llama: Any, seen_live: Seen) -> None:
    chunks = list(ask(llama, stream=True))
    found = dict(seen_live.span().attributes or {})
    assert len(chunks) > 2
    assert found["gen_ai.request.stream"] is True
    assert found["gen_ai.usage.input_tokens"] > 0
    assert (found["gen_ai.usage.output_tokens"], found["otel_llm.token.source"]) == (6, "counted")
    assert found["gen_ai.response.finish_reasons"] == ("length",)
    assert "generate" not in vars(llama)


def test_embeddings_are_told_of_by_what_they_were_given(tmp_path: Path, seen_live: Seen) -> None:
    tiny_gguf.write(tmp_path / "tiny.gguf")
    model = llama_cpp.Llama(str(tmp_path / "tiny.gguf"), n_ctx=128, verbose=False, embedding=True)
    model.create_embedding("the quick brown")
    span = seen_live.span()
    assert span.name == "embeddings tiny.gguf"
    assert (span.attributes or {})["gen_ai.usage.input_tokens"] > 0

"""Every public call as a user writes it. Never run: mypy and pyright read it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

import otel_llm
import otel_llm.load
from otel_llm.models import HuggingFaceLLM, OpenAICompatibleLLM


@otel_llm.metrics
def generate(task: str, n: int = 1) -> list[str]:
    return [task] * n


assert_type(generate("x", n=2), list[str])
assert_type(generate.last_metrics, otel_llm.GenerationMetrics | None)
generate(1)  # type: ignore[arg-type]


@otel_llm.metrics(
    model="m",
    provider="me",
    operation="chat",
    kind="client",
    tokens=len,
    attributes={"team": "a"},
    returns="result",
    on_metrics=print,
)
def stream(task: str) -> Iterator[str]:
    yield task


assert_type(stream("x"), Iterator[str])


@otel_llm.metrics(returns="report")
def report() -> list[str]:
    return []


@otel_llm.metrics_decorator
async def agenerate(task: str) -> str:
    return task


@otel_llm.metrics(model=lambda model: model.name)
async def astream(task: str) -> AsyncIterator[str]:
    yield task


class Model:
    name = "m"

    @otel_llm.metrics
    def run(self, task: str) -> str:
        otel_llm.current().mark(tokens=1, kind="text")
        return task

    @otel_llm.metrics()
    async def arun(self, task: str) -> str:
        return task


assert_type(Model().run("x"), str)
assert_type(Model().run.last_metrics, otel_llm.GenerationMetrics | None)


class Below(Model):
    def run(self, task: str) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return task


class Measured(Model):
    @otel_llm.metrics(model="m")
    def run(self, task: str) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return task


class WrongBelow(Model):
    def run(self, task: int) -> str:  # type: ignore[override]
        return str(task)


class Kinds:
    @otel_llm.metrics
    @staticmethod
    def of_nothing(task: str) -> list[str]:
        return [task]

    @otel_llm.metrics(model="m")
    @classmethod
    def of_class(cls, task: str) -> list[str]:
        return [task]


class KindsBelow(Kinds):
    @staticmethod
    def of_nothing(task: str) -> list[str]:
        return [task]

    @classmethod
    def of_class(cls, task: str) -> list[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return [task]


assert_type(Below().run("x"), str)
assert_type(Measured().run("x"), str)
assert_type(Model.run(Model(), "x"), str)
assert_type(Kinds.of_nothing("x"), list[str])
assert_type(Kinds().of_nothing("x"), list[str])
assert_type(Kinds.of_class("x"), list[str])
assert_type(Kinds().of_class("x"), list[str])
assert_type(Kinds.of_class.last_metrics, otel_llm.GenerationMetrics | None)
Kinds().of_nothing(1)  # type: ignore[arg-type]
Kinds.of_class(1)  # type: ignore[arg-type]


async def use() -> None:
    assert_type(await agenerate("x"), str)
    assert_type(await Model().arun("x"), str)
    async for word in astream("x"):
        assert_type(word, str)
    async with otel_llm.observe(operation="chat", model="m", provider="me") as obs:
        obs.mark(tokens=1, kind="text")
        obs.usage(input=1, output=2)


with otel_llm.observe(model="m") as obs:
    obs.set(response_model="m-1")

with otel_llm.configure("http://localhost:4317", service_name="mine", protocol="grpc") as providers:
    assert_type(providers.force_flush(), bool)

bound = otel_llm.bind_context(generate)
assert_type(bound("x"), list[str])

if (last := otel_llm.last_metrics()) is not None:
    assert_type(last.time_to_first_token, float | None)
    assert_type(last.inter_token_latencies, tuple[float, ...])
    assert_type(last.throughput, float | None)
    assert_type(str(last), str)


class Mine(otel_llm.BaseLLM):
    def run(self, task: str | None = None, *args: Any, **kwargs: Any) -> str:
        return task or ""


mine = Mine(model_name="m", temperature=0.5, device="cpu")
mine.set_temperature(value=0.7)
assert_type(mine("x"), Any)
assert_type(mine.metrics(), otel_llm.GenerationMetrics | None)
mine.load_checkpoint(mine.save_checkpoint())
otel_llm.BaseLLM(backend=str.upper, tokenizer=len)

HuggingFaceLLM("folder", device="cpu", max_tokens=5, load={"dtype": "bfloat16"})
OpenAICompatibleLLM("m", base_url="http://127.0.0.1:8000/v1", api_key_env="KEY", parameters={"user": "me"})

load = otel_llm.load.run(url="http://127.0.0.1:8000", number=10, slo={"ttft": "300ms"}, progress=True)
assert_type(load, otel_llm.load.LoadRun)
assert_type(load.ok, bool)
study = otel_llm.load.sweep(rate="1..64:x2", duration="1min")
assert_type(study, otel_llm.load.LoadStudy)
assert_type(otel_llm.load.find(slo={"ttft": "300ms"}, number=200).holds, float | None)
assert_type(study.answer, str)

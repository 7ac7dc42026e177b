"""Embeddings and reranking: whole answers in which no token is made. They leave when a first token would."""

from typing import ClassVar

from otel_llm.sim.formats.format import Format, Json

__all__ = ["Embeddings", "Rerank"]

_DIMENSIONS = 8


class Embeddings(Format):
    """A vector for each text of the input."""

    prompt = "input"
    generates: ClassVar[bool] = False

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        vector = [1.0] + [0.0] * (_DIMENSIONS - 1)
        data = [{"object": "embedding", "index": i, "embedding": vector} for i in range(self.question.inputs)]
        named = {"id": self.request_id, "object": "list", "model": self.question.model}
        return {**named, "data": data, **self._usage()}

    def _usage(self) -> Json:
        counts = {"prompt_tokens": self.prompt_tokens, "total_tokens": self.prompt_tokens}
        return {"usage": counts} if self.states_usage else {}


class Rerank(Embeddings):
    """A score for each document, the best first."""

    prompt = "documents"

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        count = self.question.inputs
        results = [{"index": i, "relevance_score": (count - i) / (count + 1)} for i in range(count)]
        meta = {"meta": {"tokens": {"input_tokens": self.prompt_tokens}}} if self.states_usage else {}
        named = {"id": self.request_id, "model": self.question.model}
        return {**named, "results": results, **self._usage(), **meta}

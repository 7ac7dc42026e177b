"""What engines speak besides OpenAI's protocols: Ollama, TGI, SGLang, vLLM, llama.cpp, Triton."""

from collections.abc import Mapping
from typing import ClassVar

from otel_llm.sim.formats.format import Format, Json, object_in
from otel_llm.sim.formats.times import llamacpp_times, ollama_times, sglang_times
from otel_llm.sim.truth import Took

__all__ = [
    "LlamaCppCompletion",
    "OllamaChat",
    "OllamaGenerate",
    "SGLangGenerate",
    "TGIGenerate",
    "TritonGenerate",
    "VllmGenerate",
]


class OllamaGenerate(Format):
    """Lines of JSON; the last one has no text, but the counts. A stream unless the request says otherwise."""

    prompt = "prompt"
    limits = ("options.num_predict",)
    content_type = "application/x-ndjson"

    @classmethod
    def streams(cls, fields: Json, path: str, headers: Mapping[str, str]) -> bool:
        return bool(fields.get("stream", True))

    def frame(self, data: bytes, name: str = "") -> bytes:
        return data + self._newline

    def comment(self) -> bytes:
        return self._newline

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        return [{**self._named(), **self._said("" if thought else text, text if thought else ""), "done": False}]

    def closing(self, tokens: int, finish: str) -> list[Json]:
        return [self.body("", "", tokens, finish) | self.times()]

    def own_times(self, took: Took) -> Json:
        return ollama_times(took, self.question.tokens)

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        counts = {"prompt_eval_count": self.prompt_tokens, "eval_count": self.count(tokens)}
        ended = {"done": True, "done_reason": finish, **(counts if self.states_usage else {})}
        return {**self._named(), **self._said(text, thought), **ended}

    def _named(self) -> Json:
        return {"model": self.question.model, "created_at": "2026-01-01T00:00:00Z"}

    def _said(self, text: str, thought: str) -> Json:
        return {"response": text, **({"thinking": thought} if thought else {})}

    def failure(self, message: str) -> Json:
        return {"error": message}


class OllamaChat(OllamaGenerate):
    """The same around a message."""

    prompt = "messages"

    def _said(self, text: str, thought: str) -> Json:
        return {"message": {"role": "assistant", "content": text, **({"thinking": thought} if thought else {})}}


class TGIGenerate(Format):
    """One token an event. What there is to say about the answer stands in the last one."""

    prompt = "inputs"
    limits = ("parameters.max_new_tokens",)
    reasons: ClassVar[dict[str, str]] = {"stop": "eos_token", "length": "length"}
    counts = True

    @classmethod
    def streams(cls, fields: Json, path: str, headers: Mapping[str, str]) -> bool:
        return path.endswith("_stream")

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        token = {"id": 11, "text": text, "logprob": -0.5, "special": False}
        last = self.body(self.behaviour.text * so_far, "", so_far, finish) if finish else {}
        return [{"index": so_far, "token": token, "generated_text": None, "details": None, **last}]

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        counts = {"generated_tokens": self.count(tokens), "input_length": self.prompt_tokens}
        details = {"finish_reason": finish, "seed": None, **(counts if self.states_usage else {})}
        return {"generated_text": thought + text, "details": details}

    def failure(self, message: str) -> Json:
        return {"error": message, "error_type": "generation"}


class SGLangGenerate(Format):
    """Each event repeats all the text. Where its times are told, they stand in an event behind the last token."""

    prompt = "text"
    limits = ("sampling_params.max_new_tokens",)
    counts = marker = True

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        return [self.body(self.behaviour.text * so_far, "", so_far, None if self.behaviour.times else finish)]

    def closing(self, tokens: int, finish: str) -> list[Json]:
        if not self.behaviour.times:
            return []
        ended = self.body(self.behaviour.text * tokens, "", tokens, finish)
        return [{**ended, "meta_info": ended["meta_info"] | self.times()}]

    def own_times(self, took: Took) -> Json:
        return sglang_times(took)

    def body(self, text: str, thought: str, tokens: int, finish: str | None) -> Json:
        counts = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.count(tokens), "cached_tokens": 0}
        reason = finish and {"type": finish}
        meta = {"id": self.request_id, "finish_reason": reason, **(counts if self.states_usage else {})}
        return {"text": thought + text, "meta_info": meta}

    def failure(self, message: str) -> Json:
        return {"error": {"message": message}}


class VllmGenerate(Format):
    """Token ids, and their text where it is asked for; the counts stand in an event of their own."""

    prompt = "token_ids"
    limits = ("sampling_params.max_tokens",)
    marker = True
    _ID: ClassVar[int] = 11

    @classmethod
    def prompt_length(cls, fields: Json) -> int:
        return len(fields["token_ids"])

    @classmethod
    def usage_asked(cls, fields: Json) -> tuple[bool, bool]:
        return bool(object_in(fields, "stream_options").get("include_usage")), False

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        new = text.count(self.behaviour.text) or 1
        choice = {"index": 0, "finish_reason": finish, "stop_reason": None, "token_ids": [self._ID] * new}
        return [{**self._named(), "choices": [choice]}]

    def closing(self, tokens: int, finish: str) -> list[Json]:
        asked = self.states_usage and self.question.usage
        return [{**self._named(), "choices": [], **self._usage(tokens)}] if asked else []

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        choice = {"index": 0, "finish_reason": finish, "stop_reason": None, "token_ids": [self._ID] * tokens}
        named = {**self._named(), "model": self.question.model}
        return {**named, "choices": [choice], **(self._usage(tokens) if self.states_usage else {})}

    def _named(self) -> Json:
        return {"request_id": self.request_id, "output_mode": "tokens"}

    def _usage(self, tokens: int) -> Json:
        counts = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.count(tokens)}
        return {"usage": {**counts, "total_tokens": sum(counts.values())}}


class LlamaCppCompletion(Format):
    """One token an event, and one without text to end with."""

    prompt = "prompt"
    limits = ("n_predict",)
    reasons: ClassVar[dict[str, str]] = {"stop": "eos", "length": "limit"}
    counts = True

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        return [{"index": 0, "content": text, "tokens": [], "stop": False, "id_slot": 0, **self._counts(so_far)}]

    def closing(self, tokens: int, finish: str) -> list[Json]:
        return [self.body("", "", tokens, finish) | self.times()]

    def own_times(self, took: Took) -> Json:
        return llamacpp_times(took, self.question.tokens)

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        ended = {"stop": True, "stop_type": finish, "stopping_word": "", "model": self.question.model}
        return {"index": 0, "content": thought + text, **ended, **self._counts(tokens)}

    def _counts(self, tokens: int) -> Json:
        counts = {"tokens_predicted": self.count(tokens), "tokens_evaluated": self.prompt_tokens}
        return counts if self.states_usage else {}


class TritonGenerate(Format):
    """The text and nothing else: neither counts nor a finish reason."""

    prompt = "text_input"
    limits = ("max_tokens", "parameters.max_tokens")

    @classmethod
    def model(cls, fields: Json, path: str) -> str:
        return path.partition("/models/")[2].partition("/")[0]

    @classmethod
    def streams(cls, fields: Json, path: str, headers: Mapping[str, str]) -> bool:
        return path.endswith("_stream")

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        return [self.body(text, "", so_far, "")]

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        return {"model_name": self.question.model, "model_version": "1", "text_output": thought + text}

    def failure(self, message: str) -> Json:
        return {"error": message}

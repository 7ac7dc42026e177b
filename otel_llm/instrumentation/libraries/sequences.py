"""How many tokens `generate` was given and made: those of each sequence, without prompt and padding."""

from collections.abc import Mapping
from typing import Any

from otel_llm.instrumentation.calls.answers import member
from otel_llm.observation import StreamObservation
from otel_llm.record import TEXT

__all__ = ["Batch", "Sequences"]


class Sequences:
    """What a call of `generate` works on.

    rows:   sequences that it returns
    prompt: columns of its result that are no new tokens
    """

    __slots__ = ("_asked", "_model", "prompt", "rows", "steps")

    def __init__(self, model: Any, asked: Mapping[str, Any]) -> None:
        self._model, self._asked = model, asked
        self.steps: Any = None  # what sees its tokens go by, see `steps`
        decoder = member(getattr(model, "config", None), "is_encoder_decoder")
        ids = asked.get("decoder_input_ids") if decoder else self._ids()
        self.prompt = int(ids.shape[-1]) if ids is not None else int(bool(decoder))
        self.rows = self._batch() * int(self._setting("num_return_sequences") or 1)

    def _ids(self) -> Any:
        """Return the prompt's ids, None where it was given as something else."""
        for name in ("inputs", "input_ids"):
            if (ids := self._asked.get(name)) is not None and len(ids.shape) == 2:
                return ids
        return None

    def _batch(self) -> int:
        for name in ("inputs", "input_ids", "inputs_embeds", "input_features", "input_values", "decoder_input_ids"):
            if (given := self._asked.get(name)) is not None:
                return int(given.shape[0])
        return 1

    def _setting(self, name: str) -> Any:
        config = self._asked.get("generation_config")
        for where in (self._asked, config, getattr(self._model, "generation_config", None)):
            if where is not None and (value := member(where, name)) is not None:
                return value
        return None

    def seen(self, input_ids: Any) -> None:
        """Take what the first step shows: without beams, a row for every sequence."""
        if int(self._setting("num_beams") or 1) == 1:
            self.rows = int(input_ids.shape[0])

    def count(self, result: Any, observation: StreamObservation) -> None:
        """Tell of the tokens that went in and came out."""
        made = getattr(result, "sequences", result)
        observation.usage(input=self._given(), output=sum(map(self._length, made[:, self.prompt :].tolist())))

    def _given(self) -> int | None:
        if (ids := self._ids()) is None or ids.is_floating_point():
            return None
        if (mask := self._asked.get("attention_mask")) is not None and mask.shape == ids.shape:
            return int(mask.sum())
        pad = self._setting("pad_token_id")
        return int(ids.numel()) if pad is None or pad in self._ends() else int((ids != pad).sum())

    def _ends(self) -> set[int]:
        found = self._setting("eos_token_id")
        found = found.tolist() if hasattr(found, "tolist") else found
        return set(found) if isinstance(found, list | tuple) else {found} - {None}

    def _length(self, row: list[int]) -> int:
        """Return the tokens of a sequence: up to its end token, or up to the padding where something else ended it."""
        ends, pad, length = self._ends(), self._setting("pad_token_id"), len(row)
        for index, token in enumerate(row):
            if token in ends:
                return index + 1
        if pad is not None and self._may_end_otherwise():
            while length and row[length - 1] == pad:
                length -= 1
        return length

    def _may_end_otherwise(self) -> bool:
        return bool(self._setting("stop_strings") or self._asked.get("stopping_criteria"))


class Batch:
    """The outputs of `generate_batch`, with the moment of every token, in seconds of the clock that we stamp by."""

    __slots__ = ("_at", "_input", "_output")

    def __init__(self, outputs: Mapping[str, Any]) -> None:
        made = list(outputs.values())
        self._at = sorted(round(at * 1e9) for one in made for at in one.timestamps or ())
        self._input = sum(len(one.prompt_ids) for one in made)
        self._output = sum(len(one.generated_tokens) for one in made)

    def tell(self, observation: StreamObservation) -> None:
        """Mark the tokens of all requests, in the order in which they came."""
        for at_ns in self._at:
            observation.mark(1, TEXT, at_ns=at_ns)
        observation.usage(input=self._input, output=self._output)

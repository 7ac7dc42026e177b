"""What sees the tokens of a decoding loop go by: a stopping criterion that never stops it, or the user's streamer."""

from typing import Any, Final

from otel_llm.instrumentation.calls.isolation import guarded
from otel_llm.instrumentation.libraries.sequences import Sequences
from otel_llm.observation import StreamObservation
from otel_llm.record import TEXT

__all__ = ["Steps", "Tee"]

_SYNCHRONOUS: Final = "cpu"


class Steps:
    """Called once per step, after its token was chosen. A `False` is as good to the loop as a tensor of them.

    On a device that works behind the host's back a token has been *chosen* long before it is there. So the first call
    waits for the device, which the loop does a moment later anyway; every further call stamps the token before its
    own, for which the loop has waited meanwhile, and the last one is there when `generate` returns. On a CPU what was
    chosen is there.
    """

    __slots__ = ("_ahead", "_observation", "_sequences", "_width")

    def __init__(self, observation: StreamObservation, sequences: Sequences) -> None:
        self._observation, self._sequences = observation, sequences
        self._width: int | None = None
        self._ahead: int | None = None

    def among(self, criteria: Any) -> Any:
        """Return the criteria that the caller gave, and this one: a list of the caller's own kind, left as it was."""
        from transformers import StoppingCriteriaList

        return StoppingCriteriaList([*(criteria or ()), self])

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> bool:
        if self._width is None:
            guarded("first token", self._first, input_ids)
        else:
            width = input_ids.shape[-1]
            new = (width - self._width) * self._sequences.rows
            self._width = width
            if self._ahead is None:
                self._observation.mark(new, TEXT)
            else:
                if self._ahead:
                    self._observation.mark(self._ahead, TEXT)
                self._ahead = new
        return False

    def _first(self, input_ids: Any) -> None:
        self._width = width = input_ids.shape[-1]
        if input_ids.device.type != _SYNCHRONOUS:
            input_ids[:, -1].cpu()
            self._ahead = 0
        self._sequences.seen(input_ids)
        self._observation.mark(max(width - self._sequences.prompt, 1) * self._sequences.rows, TEXT)

    def returned(self) -> None:
        """Stamp what is there now that the loop is over."""
        if self._ahead:
            self._observation.mark(self._ahead, TEXT)
            self._ahead = 0

    def __deepcopy__(self, memo: Any) -> "Steps":
        return self  # some loops copy their criteria


class Tee:
    """The user's streamer, and a stamp for every put. The first one is the prompt."""

    def __init__(self, streamer: Any, observation: StreamObservation) -> None:
        self.__wrapped__, self._self_observation = streamer, observation
        self._self_prompt = True

    def put(self, value: Any) -> Any:
        if self._self_prompt:
            self._self_prompt = False
        else:
            guarded("streamer", self._stamp, value)
        return self.__wrapped__.put(value)

    def _stamp(self, value: Any) -> None:
        self._self_observation.mark(int(value.numel()), TEXT)

    def end(self) -> Any:
        return self.__wrapped__.end()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)

"""The parameters of a language model: their names, their setters, and how a span shows them.

Class attributes are their defaults, so that a subclass whose `__init__` never calls `super().__init__` has them too.
"""

from collections.abc import Mapping
from typing import Any, Final

from otel_llm import conventions as names

__all__ = ["CREATIVE", "NAMES", "Parameters", "attributes"]

NAMES: Final = (
    "model_name",
    "max_tokens",
    "temperature",
    "top_k",
    "top_p",
    "system_prompt",
    "beam_width",
    "num_return_sequences",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "stop_token",
    "length_penalty",
    "role",
    "max_length",
    "do_sample",
    "early_stopping",
    "num_beams",
    "repition_penalty",
    "pad_token_id",
    "eos_token_id",
    "bos_token_id",
    "device",
)
"""The 23 of swarms' `BaseLLM` page, in its order."""

CREATIVE: Final[Mapping[str, Any]] = {"do_sample": True, "temperature": 0.9, "top_p": 0.95}
"""What creative mode sets."""

_ATTRIBUTES: Final = {
    "max_tokens": names.REQUEST_MAX_TOKENS,
    "temperature": names.REQUEST_TEMPERATURE,
    "top_k": names.REQUEST_TOP_K,
    "top_p": names.REQUEST_TOP_P,
    "seed": names.REQUEST_SEED,
    "frequency_penalty": names.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": names.REQUEST_PRESENCE_PENALTY,
    "num_return_sequences": names.REQUEST_CHOICE_COUNT,
}
_ELSEWHERE: Final = frozenset(("model_name", "system_prompt", "stop_token", "num_beams"))


def attributes(model: Any) -> dict[str, Any]:
    """Return the parameters that are set, by span attribute. A system prompt is content and is not among them."""
    found: dict[str, Any] = {}
    for name in NAMES:
        value = getattr(model, name, None)
        if name not in _ELSEWHERE and isinstance(value, bool | int | float | str):
            found[_ATTRIBUTES.get(name, names.REQUEST_OTHER + _written(name))] = value
    if (stop := getattr(model, "stop_token", None)) is not None:
        found[names.REQUEST_STOP_SEQUENCES] = [str(stop)]
    return found


def _written(name: str) -> str:
    return {"repition_penalty": "repetition_penalty", "beam_width": "num_beams"}.get(name, name)


class Parameters:
    """The 23 parameters as attributes, and the page's 15 setters of them. Any value is stored, None included."""

    model_name: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    system_prompt: str | None = None
    beam_width: int | None = None
    num_return_sequences: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop_token: str | None = None
    length_penalty: float | None = None
    role: str | None = None
    max_length: int | None = None
    do_sample: bool | None = None
    early_stopping: bool | None = None
    repition_penalty: float | None = None
    pad_token_id: int | None = None
    eos_token_id: int | None = None
    bos_token_id: int | None = None
    device: str | None = None

    @property
    def repetition_penalty(self) -> float | None:
        """`repition_penalty`, which the page misspells, under its right name."""
        return self.repition_penalty

    @repetition_penalty.setter
    def repetition_penalty(self, value: float | None) -> None:
        self.repition_penalty = value

    @property
    def num_beams(self) -> int | None:
        """`beam_width`, under its other name."""
        return self.beam_width

    @num_beams.setter
    def num_beams(self, value: int | None) -> None:
        self.beam_width = value

    def set_temperature(self, value: float | None) -> None:
        self.temperature = value

    def set_max_tokens(self, value: int | None) -> None:
        self.max_tokens = value

    def set_max_length(self, max_length: int | None) -> None:
        self.max_length = max_length

    def set_model_name(self, model_name: str | None) -> None:
        self.model_name = model_name

    def set_frequency_penalty(self, frequency_penalty: float | None) -> None:
        self.frequency_penalty = frequency_penalty

    def set_presence_penalty(self, presence_penalty: float | None) -> None:
        self.presence_penalty = presence_penalty

    def set_stop_token(self, stop_token: str | None) -> None:
        self.stop_token = stop_token

    def set_length_penalty(self, length_penalty: float | None) -> None:
        self.length_penalty = length_penalty

    def set_role(self, role: str | None) -> None:
        self.role = role

    def set_top_k(self, top_k: int | None) -> None:
        self.top_k = top_k

    def set_top_p(self, top_p: float | None) -> None:
        self.top_p = top_p

    def set_num_beams(self, num_beams: int | None) -> None:
        self.num_beams = num_beams

    def set_do_sample(self, do_sample: bool | None) -> None:
        self.do_sample = do_sample

    def set_early_stopping(self, early_stopping: bool | None) -> None:
        self.early_stopping = early_stopping

    def set_seed(self, seed: int | None) -> None:
        self.seed = seed

    def set_device(self, device: str | None) -> None:
        self.device = device

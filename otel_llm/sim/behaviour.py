"""How the simulated server behaves: one frozen table of knobs, and the forms in which they are given.

A text of knobs is `ttft_ms=200,itl_ms=20` (or with semicolons); in a request's body it is an object, on the command
line an option each. What is told later wins: the server's own behaviour, the path `/x/k=v;k=v/v1/...`, the header
`x-sim`, the body field `sim`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

from otel_llm.errors import ConfigError

__all__ = ["ENGINES", "FAULTS", "INCIDENTS", "JITTERS", "OF_THE_SERVER", "TIMES", "USAGES", "Behaviour", "option_name"]

JITTERS: Final = ("none", "uniform", "exp", "lognormal")
USAGES: Final = ("auto", "always", "never", "every", "lying")
FAULTS: Final = ("", "429", "500", "503", "disconnect", "stall", "badjson", "error")
TIMES: Final = ("", "vllm", "llamacpp")
ENGINES: Final = (
    *("dynamo", "llamacpp", "lmdeploy", "mistralrs", "nim", "sglang", "tensorrt_llm", "tgi", "triton", "vllm"),
)
"""Those of `engine_habits`."""
INCIDENTS: Final = ("", "queue", "prefill", "kv", "errors", "slow-replica")
OF_THE_SERVER: Final = (
    *("slots", "kv_cache", "cache_block", "cache_size", "engine", "model", "incident", "incident_after_s"),
    "server_version",
)
"""Knobs that no request may change."""

_ANY: Final = ("role_ms", "header_ms", "seed", "usage_lie")


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """The knobs. Every time is in milliseconds after the server began with the request (see `slots`).

    ttft_ms, itl_ms:  when the first token leaves, and the time from each token to the next; both 0: as fast as can be
    jitter, amp:      of the first token's time and of every gap, keeping the mean: `uniform` within ±amp of it,
                      `exp` exponential, `lognormal` with a sigma of amp
    seed:             of jitter and faults; with the request's id it decides everything
    tokens:           of an answer; 0: what the request allows (max_completion_tokens, max_tokens), else 16
    text:             of one token
    tok_per_event:    tokens in one event, which leaves when its last token is due
    ev_per_write:     events in one write, which leaves when the last of them is due
    split:            pieces that each write is cut into, sent split_gap_ms apart
    role:             a chunk with the role alone opens a stream of OpenAI's chat
    role_ms:          when that leaves, or what else opens a stream; below 0: with the first token
    empty:            chunks without text after the role chunk
    comments:         keep-alive comments before the first token, evenly spread
    reasoning:        the first n tokens are sent as reasoning, in the delta's field reasoning_field
    usage:            a last chunk with the token counts: `auto` if the request asks, `always`, `never`; `every`: in
                      each chunk; `lying`: always, and wrong by usage_lie tokens, or by 10 where that is 0.
                      Protocols in which usage is not asked for have it unless it is `never`
    usage_lie:        added to the count of output tokens
    pad:              bytes of padding in each chunk
    done:             whether `data: [DONE]` is sent
    crlf:             whether lines end in CR LF
    times:            a streamed answer says how long it really took: in the words of `vllm` or `llamacpp` where its
                      protocol is OpenAI's; Ollama's, llama.cpp's and SGLang's own say it in theirs, whichever is named
    header_ms:        when the headers leave; below 0: with the first byte of the body
    fault:            `429`, `500`, `503`: answered so, at header_ms, with retry_after seconds;
                      before the event with the token fault_at (the first is 0): `disconnect`, `stall` for stall_ms,
                      `badjson`: one event that is no JSON, `error`: an error object, and the stream's end
    fault_rate:       share of the requests that it happens to
    stop_ms:          how long an answer goes on that its client wants stopped
    slots:            answers being made at a time, 0 for any number; the others wait in line. Of the server alone
    cache_block:      tokens in a block of the prefix cache, 0: there is none. With it a prompt's tokens are its words,
                      and usage says how many of them were cached. Of the server alone
    engine:           /metrics is a page of this engine. Of the server alone
    model:            the name of the model on that page and in /models. Of the server alone
    kv_cache:         tokens that the key-value cache holds, 0 for any number: a request needs room for those of its
                      prompt and its answer, and waits in line for it. Of the server alone
    incident:         what goes wrong from incident_after_s seconds after the start (see `incident`): `queue`,
                      `prefill`, `kv`, `errors`, `slow-replica`. Of the server alone
    server_version:   /version tells it; without it there is no such address. Of the server alone
    cache_size:       blocks that the cache holds, 0 for any number. Of the server alone
    """

    ttft_ms: float = 0.0
    itl_ms: float = 0.0
    jitter: str = "none"
    amp: float = 0.5
    seed: int = 1
    tokens: int = 0
    text: str = " tok"
    tok_per_event: int = 1
    ev_per_write: int = 1
    split: int = 1
    split_gap_ms: float = 0.0
    role: bool = True
    role_ms: float = -1.0
    empty: int = 0
    comments: int = 0
    reasoning: int = 0
    reasoning_field: str = "reasoning_content"
    usage: str = "auto"
    usage_lie: int = 0
    pad: int = 0
    done: bool = True
    crlf: bool = False
    times: str = ""
    header_ms: float = 0.0
    fault: str = ""
    fault_at: int = 0
    fault_rate: float = 1.0
    stall_ms: float = 60_000.0
    retry_after: str = "1"
    stop_ms: float = 0.0
    slots: int = 0
    cache_block: int = 0
    cache_size: int = 0
    engine: str = ""
    model: str = "sim"
    kv_cache: int = 0
    incident: str = ""
    incident_after_s: float = 0.0
    server_version: str = ""

    def __post_init__(self) -> None:
        for name, choices in (
            ("jitter", JITTERS),
            ("usage", USAGES),
            ("fault", FAULTS),
            ("times", TIMES),
            ("engine", ("", *ENGINES)),
            ("incident", INCIDENTS),
        ):
            if getattr(self, name) not in choices:
                raise _refused(name, "one of " + ", ".join(c or "none" for c in choices), getattr(self, name))
        for field in fields(self):
            value = getattr(self, field.name)
            least = 1 if field.name in ("tok_per_event", "ev_per_write", "split") else 0
            if isinstance(value, str) or (field.name in _ANY and math.isfinite(value)):
                continue
            if not least <= value < math.inf:
                raise _refused(field.name, f"a number of at least {least}", value)

    def as_options(self) -> list[str]:
        """Return the options of `otel-llm sim` that make a server behave so."""
        return [
            f"{option_name(field.name)}={getattr(self, field.name)}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]

    def with_text(self, text: str) -> "Behaviour":
        """Return this behaviour with the knobs of `k=v,k=v` changed; a value may be percent-encoded.

        Raises ConfigError for a name that is no knob and for a value that it cannot take.
        """
        return _with_text(self, text) if text else self

    def with_values(self, values: Mapping[str, Any]) -> "Behaviour":
        """Return this behaviour with the knobs of a JSON object, or of parsed options, changed."""
        return replace(self, **{name: _read(name, value) for name, value in values.items()})


def option_name(knob: str) -> str:
    """Return the command-line option of a knob."""
    return "--" + knob.replace("_", "-")


@lru_cache(maxsize=256)
def _with_text(behaviour: Behaviour, text: str) -> Behaviour:
    pairs = (pair.strip().partition("=") for pair in text.replace(";", ",").split(",") if pair.strip())
    return behaviour.with_values({name: unquote(value) for name, _, value in pairs})


def _refused(name: str, expected: str, got: object) -> ConfigError:
    return ConfigError(f"{expected} for the knob {name}", got, "see the knobs in `otel-llm sim --help`")


def _flag(value: Any) -> bool:
    said = str(value).lower()
    if said not in _FLAGS:
        raise ValueError(said)
    return _FLAGS[said]


def _whole(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(value)
    return int(value)


_FLAGS: Final = {"1": True, "true": True, "on": True, "0": False, "false": False, "off": False}
_READERS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    bool: ("on or off", _flag),
    int: ("a whole number", _whole),
    float: ("a number", float),
    str: ("a text", str),
}
_OR_NONE: Final = ("fault", "times", "engine", "incident")
"""Knobs with a list of values, of which the empty one is called none."""
_TYPES: Final = {field.name: type(field.default) for field in fields(Behaviour)}


def _read(name: str, value: Any) -> Any:
    if name not in _TYPES:
        raise ConfigError("the name of a knob", name, "see the knobs in `otel-llm sim --help`")
    if value == "none" and name in _OR_NONE:
        return ""
    expected, reader = _READERS[_TYPES[name]]
    try:
        return reader(value)
    except (TypeError, ValueError):
        raise _refused(name, expected, value) from None

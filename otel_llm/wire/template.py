"""A protocol that is only a file: `--protocol FILE.toml` says how an endpoint is asked and where its answer says what.

The paths are JMESPath expressions, as in the AWS command line: `delta.text`, `choices[].delta.content`. A text that is
a list is joined; null, false and what is of another type is nothing.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import jmespath
import msgspec
import orjson
from jmespath.exceptions import JMESPathError

from otel_llm.errors import ConfigError
from otel_llm.record import OTHER, REASONING, TEXT, TOOL
from otel_llm.wire.additions import Additions
from otel_llm.wire.liberal import load
from otel_llm.wire.openai_json import error_of
from otel_llm.wire.protocol import NOTHING, Ask, Delta, Protocol, WireRequest, json_body
from otel_llm.wire.said import without_surrogates

__all__ = ["Template", "read_template"]

_NEXT = "docs/protocols.md has each key"


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    """Where an event, or a whole answer, says what: [answer] in the file."""

    text: str
    reasoning: str | None = None
    tool: str | None = None
    tokens: str | None = None
    finish: str | None = None
    error: str | None = None
    done: str | None = None
    model: str | None = None
    id: str | None = None
    input_tokens: str | None = None
    output_tokens: str | None = None
    cached_tokens: str | None = None
    reasoning_tokens: str | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file."""

    body: dict[str, Any]
    answer: _Answer
    path: str = ""
    framing: Literal["sse", "ndjson", "json"] = "sse"
    headers: dict[str, str] = {}
    authorization: str = Protocol.authorization
    parameters: str = ""
    max_tokens: str = ""
    marker: str = "[DONE]"
    cumulative: bool = False
    operation: str = Protocol.operation


_KINDS = {TEXT: "text", TOOL: "tool", REASONING: "reasoning"}
_COUNTS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")


class Template(Protocol):
    """What every such file becomes a subclass of."""

    template: ClassVar[_File]
    where: ClassVar[Mapping[str, Any]]
    """The expressions of `template.answer`, compiled."""

    __slots__ = ("_added",)

    def __init__(self) -> None:
        super().__init__()
        self._added = Additions() if self.template.cumulative else None

    @classmethod
    def path(cls, model: str, *, stream: bool) -> str:
        return cls.template.path.replace("{model}", model)

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        template, given = cls.template, {"prompt": ask.prompt, "messages": list(ask.messages), "model": ask.model}
        body = inner = _filled(template.body, {**given, "stream": ask.stream})
        if ask.parameters:
            for name in filter(None, template.parameters.split(".")):
                inner = inner.setdefault(name, {})
            inner.update(ask.parameters)
            for name in [name for name, value in ask.parameters.items() if value is None]:
                del inner[name]
        return WireRequest(json_body(body, {}), template.headers)

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return {cls.template.max_tokens: tokens} if cls.template.max_tokens else {}

    def decode(self, event: bytes) -> Delta | None:
        if event.strip() == self.template.marker.encode():
            self.done = True
            return None
        try:
            value = orjson.loads(event)
        except ValueError:
            value = load(event)  # half a character, which is no reason to lose an event
            self.said.flag("malformed")
        if not isinstance(value, dict | list) or not value:
            raise ValueError(f"expected an object, got {type(value).__name__}")
        said, found = self.said, {name: path.search(value) for name, path in self.where.items()}
        billed = self._take(found)
        if error := found.get("error"):
            said.error = error_of(msgspec.Raw(orjson.dumps(error)))
            return OTHER, "", 0
        said.response_model, said.response_id = (
            found.get("model") or said.response_model,
            found.get("id") or said.response_id,
        )
        for reason in _each(found.get("finish")):
            said.finish("stop" if reason is True else str(reason))
        self.done |= bool(found.get("done"))
        stated = found.get("tokens")
        tokens = stated if isinstance(stated, int) and not isinstance(stated, bool) else billed
        for kind, name in _KINDS.items():  # of several, text says more than a call, a call more than a thought
            words = without_surrogates("".join(word for word in _each(found.get(name)) if isinstance(word, str)))
            if self._added is not None:
                words = self._added.of(words, tokens, kind)
            if words:
                return kind, words, tokens
        return (OTHER, "", stated or 0) if any(found.get(name) is not None for name in _COUNTS) else NOTHING

    def _take(self, found: Mapping[str, Any]) -> int:
        """Take the counts, which are running totals; return the output tokens that are new."""
        said, before = self.said, self.said.output_tokens or 0
        for name in _COUNTS:
            count = found.get(name)
            if isinstance(count, int | float) and not isinstance(count, bool):
                setattr(said, name, int(count))
        return max((said.output_tokens or 0) - before, 0)


def read_template(path: Path) -> dict[str, Any]:
    """Return the members of the protocol that a file describes.

    Raises ConfigError, with the file and the key, for one that cannot be used.
    """
    try:
        file = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File)
    except OSError as error:
        raise ConfigError("a file after --protocol", f"{path} ({error.strerror})", "check its path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path} to describe a protocol", error, _NEXT) from None
    if not {"{prompt}", "{messages}"} & {
        mark for text in _texts(file.body) for mark in ("{prompt}", "{messages}") if mark in text
    }:
        raise ConfigError(f"{{prompt}} or {{messages}} somewhere in [body] of {path}", next_step=_NEXT)
    inner: Any = file.body
    for name in filter(None, file.parameters.split(".")):
        inner = inner.get(name, {}) if isinstance(inner, dict) else inner
    if not isinstance(inner, dict):
        raise ConfigError(f"parameters of {path} to name an object in [body]", file.parameters, _NEXT)
    if not _is_header(file.authorization):
        raise ConfigError(f"authorization of {path} to be as in {Protocol.authorization!r}", file.authorization, _NEXT)
    return {
        "template": file,
        "where": _compiled(file.answer, path),
        "name": path.stem,
        "paths": (file.path.replace("{model}", "*"),) if file.path else (),
        "framing": "sse" if file.framing == "json" else file.framing,
        "streams": file.framing != "json",
        "finishes": file.answer.finish is not None,
        "repeats": not file.cumulative,
        "accept": {"sse": "text/event-stream", "ndjson": "application/x-ndjson", "json": "application/json"}[
            file.framing
        ],
        "authorization": file.authorization,
        "operation": file.operation,
        "__doc__": f"As {path} has it.",
    }


def _compiled(answer: _Answer, path: Path) -> dict[str, Any]:
    found = {}
    for name, text in msgspec.structs.asdict(answer).items():
        try:
            if text is not None:
                found[name] = jmespath.compile(text)
        except JMESPathError as error:
            reason = str(error).replace("\n", " ")
            raise ConfigError(
                f"{name} in [answer] of {path} to be a JMESPath expression", f"{text!r}: {reason}", _NEXT
            ) from None
    return found


def _is_header(text: str) -> bool:
    name, colon, form = text.partition(": ")
    return bool(name and colon) and form.count("{}") == 1 and form.count("{") == form.count("}") == 1


def _filled(value: Any, given: Mapping[str, Any]) -> Any:
    """Return a value with its placeholders filled: one that stands alone by what it is, others as text."""
    if isinstance(value, dict):
        return {name: _filled(item, given) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, given) for item in value]
    if not isinstance(value, str):
        return value
    if value[:1] == "{" and value[1:-1] in given and value[-1:] == "}":
        return given[value[1:-1]]
    for name in ("model", "prompt"):  # the prompt last: what looks like a placeholder in it is none
        value = value.replace(f"{{{name}}}", given[name])
    return value


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict | list):
        return [text for item in (value.values() if isinstance(value, dict) else value) for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def _each(value: Any) -> list[Any]:
    """Return the items of a list, or the one value, without what is nothing."""
    return [item for item in (value if isinstance(value, list) else [value]) if item]

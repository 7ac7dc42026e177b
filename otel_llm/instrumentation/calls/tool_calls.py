"""Calls of tools that an answer asks for: out of whole answers, and out of the pieces that a stream brings.

They are read for content alone, and only where somebody asked for that. The shapes are those of the client libraries.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from otel_llm.instrumentation.calls.answers import event_of_responses, member, read_json

__all__ = ["ToolCalls", "tool_call"]

_INSIDE: Final = (
    *("data", "choices", "candidates", "delta", "message", "content", "parts", "content_block", "output", "outputs"),
    *("item", "start", "contentBlockStart", "contentBlockDelta", "tool_call_chunks", "tool_calls"),
)
"""Where calls of tools may be inside of what holds them."""
_ONE_OF: Final = ("choices", "candidates")
"""Answers to the same question, of which the first is taken."""
_PLACES: Final = ("index", "contentBlockIndex")
_ITEMS: Final = ("function_call", "function.call", "function.call.delta")
_DONE: Final = "response.output_item.done"
"""Of OpenAI's events the one that has an item as it is in the end; the others would tell of it again."""
_DEEPEST: Final = 8


def tool_call(thing: Any) -> dict[str, Any] | None:
    """Return a call of a tool, or a piece of one, as a part of a message; None of anything else."""
    kind = str(member(thing, "type") or "")
    if (function := member(thing, "function")) is not None:  # OpenAI's, and whose is like it
        return _part(member(thing, "id"), function, "arguments")
    if (asked := member(thing, "custom")) is not None:
        return _part(member(thing, "id"), asked, "input")
    if kind == "tool_use":  # Anthropic's
        return _part(member(thing, "id"), thing, "input")
    if isinstance(words := member(thing, "partial_json"), str):
        return {"type": "tool_call", "id": None, "name": None, "arguments": words}
    if kind in _ITEMS:  # OpenAI's Responses, Mistral's conversations
        return _part(member(thing, "call_id") or member(thing, "tool_call_id"), thing, "arguments")
    if (asked := member(thing, "function_call")) is not None:  # Google's
        return _part(member(asked, "id"), asked, "arguments" if member(asked, "args") is None else "args")
    if (asked := member(thing, "toolUse")) is not None:  # Bedrock's
        return _part(member(asked, "toolUseId"), asked, "input")
    if isinstance(thing, Mapping) and "args" in thing:  # langchain's
        return _part(thing.get("id"), thing, "args")
    return None


def _part(number: Any, called: Any, arguments: str) -> dict[str, Any]:
    given = member(called, arguments)
    return {"type": "tool_call", "id": number, "name": member(called, "name"), "arguments": given}


class ToolCalls:
    """The calls that one answer asks for, in the order in which they were begun."""

    __slots__ = ("_at", "parts")

    def __init__(self) -> None:
        self.parts: list[dict[str, Any]] = []
        self._at: dict[Any, dict[str, Any]] = {}
        """The call that pieces with the same place belong to."""

    def take(self, item: Any) -> None:
        """Take what an item of a stream, or a whole answer, has of them."""
        if event_of_responses(item) in (None, _DONE):
            for place, piece in _pieces(item, None, 0):
                self._add(place, piece)

    def _add(self, place: Any, piece: dict[str, Any]) -> None:
        before = self._at.get(place)
        if before is None or (piece["name"] and _is_another(piece, before)):
            self._at[place] = piece
            self.parts.append(piece)
            return
        more = piece["arguments"]
        if isinstance(more, str):
            begun = before["arguments"]
            before["arguments"] = (begun if isinstance(begun, str) else "") + more

    def told(self) -> list[dict[str, Any]]:
        """Return them as parts of a message, their arguments as what they are in JSON."""
        return [{**part, "arguments": _read(part["arguments"])} for part in self.parts]


def _is_another(piece: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Return whether a piece with a name begins a call. Pieces of the same one may repeat its name and its id."""
    return isinstance(piece["arguments"], Mapping) or piece["id"] != before["id"]


def _read(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _pieces(thing: Any, place: Any, depth: int) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield calls and pieces of calls, each with its place in the answer: as it says itself, or in its list."""
    if thing is None or isinstance(thing, str | bytes | int | float) or depth > _DEEPEST:
        return
    if isinstance(thing, list | tuple):
        for position, one in enumerate(thing):
            yield from _pieces(one, position, depth + 1)
        return
    if isinstance(chunk := member(thing, "chunk"), Mapping):  # Bedrock's, of what its models say themselves
        thing = read_json(chunk.get("bytes"))
    place = next((at for name in _PLACES if isinstance(at := member(thing, name), int)), place)
    if (found := tool_call(thing)) is not None:
        yield place, found
        return
    for name in _INSIDE:
        if name == "tool_calls" and member(thing, "tool_call_chunks"):
            continue  # langchain's, of what has come so far
        inside = member(thing, name)
        if name in _ONE_OF and isinstance(inside, list | tuple):
            inside = inside[:1]
        yield from _pieces(inside, place, depth + 1)

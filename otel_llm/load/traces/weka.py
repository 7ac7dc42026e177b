"""Sessions of coding agents (callanjfox/kv-cache-tester, also semianalysisai/cc-traces-weka on Hugging Face): JSON.

A conversation is an object, a file each or one a line: its calls and its agents' calls, each with its time from the
conversation's start, its lengths and the ids of the whole blocks that its prompt begins with. Ids are the
conversation's own. Of an agent's calls the times count from when it was asked, in some releases from the
conversation's start.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final, Literal

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.load.traces.call_order import Times, places_of
from otel_llm.load.traces.format import Head, Part, TraceFormat
from otel_llm.load.traces.links import RowLinks
from otel_llm.load.traces.rows import Columns, Rows
from otel_llm.load.traces.trace import Trace

__all__ = ["WEKA"]

_REMEDY: Final = "correct the conversation, or take it out"
_HEAD: Final = 4096
_BEGINS: Final = (b'"block_size"', b'"models"')
_ROOT: Final = "conversation"


class _Call(msgspec.Struct, forbid_unknown_fields=True, gc=False, rename={"inputs": "in", "outputs": "out"}):
    """t: s; api_time: for how long it was answered, s"""

    t: float
    inputs: int
    outputs: int
    model: str = ""
    hash_ids: list[int] = []
    input_types: list[str] = []
    output_types: list[str] = []
    stop: str = ""
    api_time: float | None = None
    think_time: float | None = None


class _Whole(_Call, tag_field="type", tag="n"):
    """A call whose answer came in one piece."""


class _Streamed(_Call, tag_field="type", tag="s"):
    """A call whose answer came in pieces."""

    ttft: float | None = None


class _Agent(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="subagent"):
    """What was given to another agent, and its calls."""

    t: float
    requests: list[_Whole | _Streamed]
    agent_id: str = ""
    subagent_type: str = ""
    duration_ms: float | None = None
    total_tokens: int | None = None
    tool_use_count: int | None = None
    status: str = ""
    models: list[str] = []
    tool_tokens: int = 0
    system_tokens: int = 0


class _Conversation(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    block_size: int
    requests: list[_Whole | _Streamed | _Agent]
    models: list[str] = []
    hash_id_scope: Literal["local"] = "local"
    tool_tokens: int = 0
    system_tokens: int = 0
    totals: msgspec.Raw = msgspec.Raw(b"")

    def timed(self) -> tuple[list[tuple[int, _Call]], dict[str, Times]]:
        """Return the calls by their times, ns; and those as spans, by their places, with the agents around them."""
        calls, spans = list[tuple[int, _Call, str | None]](), dict[str, Times]()
        for number, each in enumerate(self.requests):
            if not isinstance(each, _Agent):
                calls.append((_ns(each.t), each, _ROOT))
                continue
            name = f"agent {number}"
            begins_s = each.t if each.requests and each.requests[0].t < each.t else 0.0
            own = [(_ns(begins_s + call.t), call) for call in each.requests]
            ends = [_ended_ns(at_ns, call) for at_ns, call in own]
            spans[name] = Times(_ns(each.t), max([_ns(each.t + (each.duration_ms or 0) / 1e3), *ends]), _ROOT, True)
            calls += [(at_ns, call, name) for at_ns, call in own]
        calls.sort(key=lambda call: call[0])
        for place, (at_ns, call, inside) in enumerate(calls):
            spans[str(place)] = Times(at_ns, _ended_ns(at_ns, call), inside)
        spans[_ROOT] = Times(0, max((span.ended_ns for span in spans.values()), default=0), None, True)
        return [(at_ns, call) for at_ns, call, _ in calls], spans


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def _ended_ns(at_ns: int, call: _Call) -> int:
    return at_ns + _ns(max(call.api_time or 0.0, 0.0))


class _Ids:
    """Gives the ids of conversations numbers that no two of them have in common, and so the rows."""

    def __init__(self) -> None:
        self._conversations = self._rows = self._agents = self._blocks = 0

    def rows(self, conversation: _Conversation) -> Rows:
        timed, spans = conversation.timed()
        found = places_of(spans, [str(place) for place in range(len(timed))])
        places = [found[str(place)] for place in range(len(timed))]
        agents = dict[str | None, int]()
        who = [agents.setdefault(place.agent, self._agents + len(agents)) for place in places]
        ended = [max((spans[call].ended_ns for call in place.after), default=None) for place in places]
        blocks = [[self._blocks + block for block in call.hash_ids] for _, call in timed]
        rows = Rows(
            [at_ns for at_ns, _ in timed],
            [call.inputs for _, call in timed],
            [call.outputs for _, call in timed],
            blocks,
            [self._conversations] * len(timed),
            RowLinks(
                range(self._rows, self._rows + len(timed)),
                [[self._rows + int(call) for call in place.after] for place in places],
                [0 if end is None else at_ns - end for (at_ns, _), end in zip(timed, ended, strict=True)],
                who,
            ),
        )
        self._conversations, self._rows = self._conversations + 1, self._rows + len(timed)
        self._agents += len(agents)
        self._blocks = max(chain.from_iterable(blocks), default=self._blocks - 1) + 1
        return rows


def _read(path: Path, _: Part) -> Trace:
    columns, ids, block_tokens = None, _Ids(), 0
    for file in _files(path):
        for number, conversation in enumerate(_conversations(file), 1):
            columns = columns or Columns(path, block_tokens := conversation.block_size)
            try:
                if conversation.block_size != block_tokens or block_tokens < 1:
                    raise ValueError(f"blocks of {conversation.block_size} tokens after blocks of {block_tokens}")
                columns.add(ids.rows(conversation))
            except (ValueError, OverflowError) as error:
                place = f"conversation {number} of {file}, {conversation.id}"
                raise ConfigError(f"calls as they can be in {place}", error, _REMEDY) from error
    if columns is None:
        raise ConfigError(f"conversations in {path}", "none", "give another trace")
    return columns.trace()


def _conversations(file: Path) -> Sequence[_Conversation]:
    try:
        return msgspec.json.Decoder(_Conversation).decode_lines(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"a readable trace at {file}", error.strerror, "check the path") from error
    except msgspec.MsgspecError as error:
        raise ConfigError(f"conversations of agents in {file}", error, _REMEDY) from error


def _files(path: Path) -> Iterator[Path]:
    yield from sorted(path.glob("*.json")) if path.is_dir() else [path]


def _is_one(head: Head) -> bool:
    try:
        first = next(_files(head.path), None)
        if first is None:
            return False
        with first.open("rb") as file:
            begins = file.read(_HEAD)
    except OSError:
        return False
    return begins.lstrip().startswith(b"{") and all(name in begins for name in _BEGINS)


WEKA: Final = TraceFormat("conversations of agents: time, lengths, hash ids of blocks of each call", _is_one, _read)

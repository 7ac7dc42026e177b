"""OpenAI's Responses over a WebSocket: each `response.create` that is sent on a connection is a call.

It is sent by one function, and answered by events that another one reads, of several responses in turn: on a connection
those of one lane (`stream_id`) follow each other. So the call is kept on its connection, and sees the events there, as
long as one is open; after that the connection is what it was.
"""

import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

from otel_llm.errors import RemoteError
from otel_llm.instrumentation.calls.answers import member
from otel_llm.instrumentation.calls.hooks import GOES_ON, Hooks, MeasuredCall
from otel_llm.instrumentation.calls.in_flight import OpenCall, abandon_soon
from otel_llm.instrumentation.calls.isolation import guarded
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries.adapter import LibraryTarget
from otel_llm.instrumentation.libraries.openai_events import kind_of_event
from otel_llm.instrumentation.libraries.request import parameters, server_in_text

__all__ = ["targets"]

_ENDS: Final = ("response.completed", "response.incomplete")
_FAILS: Final = ("response.failed", "error")


def targets(provider_of: Callable[[str], str]) -> Iterable[LibraryTarget]:
    """Say what is measured. provider_of: whose protocol it is, by the name of the host."""

    def describe(connection: Any, given: Mapping[str, Any]) -> dict[str, Any]:
        event, where = _members(given["event"]), _server_of(connection)
        said = {"provider": provider_of(where.get("server_address", "")), "parameters": parameters(event), **where}
        return {**said, "model": _text(event, "model")}

    hooks = Hooks(
        only=_asks_a_model,
        positional=("event",),
        describe=describe,
        prepare=lambda call, args, _: _Lanes.of(call.instance).add(_text(args[0], "stream_id"), call),
        wrap=lambda *_: GOES_ON,
        item=kind_of_event,
    )
    for owner in ("ResponsesConnection", "AsyncResponsesConnection"):
        yield LibraryTarget("openai.resources.responses.responses", owner, ("send",), Options(kind="client"), hooks)


def _asks_a_model(_: Any, args: tuple[Any, ...]) -> bool:
    return args != () and member(args[0], "type") == "response.create"


def _members(event: Any) -> Mapping[str, Any]:
    return event if isinstance(event, Mapping) else event.model_dump(exclude_unset=True)


def _text(event: Any, name: str) -> str | None:
    """Return a member of an event, None where it was not given: the library has an object for that."""
    return found if isinstance(found := member(event, name), str) else None


def _server_of(connection: Any) -> dict[str, Any]:
    protocol = getattr(getattr(connection, "_connection", None), "protocol", None)
    where = getattr(protocol, "uri", None) or getattr(protocol, "wsuri", None)  # as older websockets have it
    if where is None:
        return {}
    return server_in_text(f"{'https' if where.secure else 'http'}://{where.host}:{where.port}")


class _Lanes:
    """The calls that are open on one connection, by their lane: None for those that name none, the oldest first.

    While there are any, functions of the connection are shadowed by some that show what goes by.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = weakref.ref(connection)
        self._calls: dict[str | None, deque[MeasuredCall]] = {}
        weakref.finalize(connection, self._abandon).atexit = False  # at exit all calls that are open are told anyway

    @classmethod
    def of(cls, connection: Any) -> "_Lanes":
        """Return those of a connection, made where it has none."""
        if (lanes := _lanes.get(connection)) is None:
            lanes = _lanes[connection] = cls(connection)
        return lanes

    def add(self, lane: str | None, call: MeasuredCall) -> None:
        """Take a call that is about to be sent."""
        connection, call.instance = call.instance, None  # which the call is not to keep alive
        if not self._calls:
            self._shadow(connection)
        self._calls.setdefault(lane, deque()).append(call)

    def _shadow(self, connection: Any) -> None:
        parse, close = connection.parse_event, connection.close
        receive = connection.recv_bytes

        def parse_event(data: Any) -> Any:
            event = parse(data)
            guarded("event", self._take, event)
            return event

        def recv_bytes() -> Any:
            try:
                received = receive()
            except Exception as error:
                guarded("connection", self._lost, error)
                raise
            return _awaited(received, self._lost) if hasattr(received, "__await__") else received

        def closed(**given: Any) -> Any:
            guarded("close", self._close)
            return close(**given)

        vars(connection).update(parse_event=parse_event, recv_bytes=recv_bytes, close=closed)

    def _take(self, event: Any) -> None:
        """Give an event to the call whose it is. Of one that the server began by itself there is none."""
        lane, kind = getattr(event, "stream_id", None), getattr(event, "type", None)
        if lane not in self._calls and kind == "error" and len(self._calls) == 1:
            (lane,) = self._calls  # it may not say which lane it is about
        if (calls := self._calls.get(lane)) is None:
            return
        calls[0].note(event)
        if kind in _FAILS:
            calls[0].broke(_error_of(event))
        elif kind in _ENDS:
            calls[0].end()
        self._drop_ended()

    def _lost(self, error: BaseException) -> None:
        """End all calls, if the connection is gone. A time-out of the one who waits is no end."""
        if any(cls.__name__ == "ConnectionClosed" for cls in type(error).__mro__):
            for call in self._all():
                call.broke(error)
            self._drop_ended()

    def _close(self) -> None:
        for call in self._all():
            call.close_early()
        self._drop_ended()

    def _abandon(self) -> None:
        for call in self._all():
            abandon_soon(cast("OpenCall", call))

    def _all(self) -> list[MeasuredCall]:
        return [call for calls in self._calls.values() for call in calls]

    def _drop_ended(self) -> None:
        """Forget the calls that have ended, and after the last of them let the connection be what it was."""
        for lane, calls in list(self._calls.items()):
            if open_ones := [call for call in calls if call.observation is not None and call.observation.open]:
                self._calls[lane] = deque(open_ones)
            else:
                del self._calls[lane]
        if not self._calls and (connection := self._connection()) is not None:
            for name in ("parse_event", "recv_bytes", "close"):
                vars(connection).pop(name, None)


_lanes: "Final[weakref.WeakKeyDictionary[Any, _Lanes]]" = weakref.WeakKeyDictionary()


async def _awaited(received: Any, lost: Callable[[BaseException], object]) -> Any:
    try:
        return await received
    except Exception as error:
        guarded("connection", lost, error)
        raise


def _error_of(event: Any) -> RemoteError:
    error = getattr(event, "error", None) or getattr(getattr(event, "response", None), "error", None)
    kind = getattr(error, "code", None) or "stream_error"
    return RemoteError(kind, "an answer", getattr(error, "message", None) or event.type)

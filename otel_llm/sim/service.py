"""The simulated server without its socket: chooses the answer to each request, seats it in a slot, logs its row."""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import count
from typing import Final
from urllib.parse import urlsplit

import orjson

from otel_llm.clock import SYSTEM, now_ns
from otel_llm.errors import ConfigError
from otel_llm.sim.answer import error_writes, stream_writes, whole_writes
from otel_llm.sim.answer_player import AnswerPlayer
from otel_llm.sim.behaviour import OF_THE_SERVER, Behaviour, option_name
from otel_llm.sim.client_connection import ClientConnection, Request
from otel_llm.sim.exposition import Exposition, Load
from otel_llm.sim.formats import FORMATS, Format, Question, read_question
from otel_llm.sim.incident import limits_in_incident, while_incident
from otel_llm.sim.prefix_cache import PrefixCache
from otel_llm.sim.schedule import draw_fault, to_ns
from otel_llm.sim.slots import Slots
from otel_llm.sim.truth import Counters, SentRow, TruthLog
from otel_llm.sim.wheel import Wheel
from otel_llm.sim.writes import Write, error_body, plain_reply

__all__ = ["Service"]


class Service:
    """Answers requests. Everything runs on the loop that it is given.

    Some knobs are the server's own, as `slots` is: a request that asks for other slots is refused.
    """

    def __init__(self, behaviour: Behaviour, log: TruthLog, loop: asyncio.AbstractEventLoop) -> None:
        self.log, self.counters = log, Counters()
        self._behaviour = self._as_started = behaviour
        self._wheel, self._slots = Wheel(loop), Slots(behaviour.slots, behaviour.kv_cache)
        self._cache = PrefixCache(behaviour.cache_block, behaviour.cache_size)
        self._exposition = Exposition(behaviour.engine, behaviour.model) if behaviour.engine else None
        self._incident = loop.call_later(behaviour.incident_after_s, self._begin, behaviour)
        self._sequence = count(1)
        self._created = SYSTEM.wall_ns(now_ns()) // 1_000_000_000

    def _begin(self, behaviour: Behaviour) -> None:
        """Begin the incident of a behaviour; without one, all is as it was before."""
        self._slots.resize(*limits_in_incident(behaviour), now_ns())
        self._behaviour = while_incident(behaviour)

    def close(self) -> None:
        self._incident.cancel()
        self._wheel.close()
        self.log.close()

    def reset(self) -> None:
        """Forget every row and cached block, and count from zero. Requests not answered yet stay in `inflight`."""
        self.counters = Counters(inflight=self.counters.inflight, peak=self.counters.inflight)
        self._cache = PrefixCache(self._behaviour.cache_block, self._behaviour.cache_size)
        self.log.reset()

    def answer(self, connection: ClientConnection, request: Request) -> None:
        """Answer one request, now or over time."""
        path, knobs = urlsplit(request.target).path, ""
        if path.startswith("/x/"):
            knobs, _, path = path[3:].partition("/")
            path = "/" + path
        if connection.session is not None:
            self._complete(connection, request, knobs, path, "")
            return
        if request.headers.get("upgrade", "").lower() == "websocket" and request.method == "GET":
            self._upgrade(connection, request, path)
            return
        ending = max((ending for ending in _ROUTES if path.endswith(ending)), key=len, default="")
        method, handler = _ROUTES.get(ending, ("", None))
        if handler is None:
            self._refuse(connection, request, 404, f"expected a path of {', '.join(_ROUTES)}, got {path}")
        elif method != request.method:
            self._refuse(connection, request, 405, f"expected {method} for {ending}, got {request.method}")
        else:
            handler(self, connection, request, knobs, path, ending)

    def _upgrade(self, connection: ClientConnection, request: Request, path: str) -> None:
        """Open a WebSocket."""
        try:
            from otel_llm.sim.sockets import SESSIONS, accepted  # whose library not everyone has
        except ImportError as error:
            self._refuse(connection, request, 501, f"expected the extra `websocket`, got {error}")
            return
        session = next((session for ending, session in SESSIONS.items() if path.endswith(ending)), None)
        if session is None:
            self._refuse(connection, request, 404, f"expected a path of {', '.join(SESSIONS)}, got {path}")
        elif (reply := accepted(request)) is None:
            self._refuse(connection, request, 400, "expected the headers of a WebSocket's handshake")
        else:
            connection.upgrade(request, session(request), reply)

    # answers that are there at once

    def _reply(
        self,
        connection: ClientConnection,
        request: Request,
        body: bytes,
        status: int = 200,
        request_id: str = "",
        content_type: str = "application/json",
    ) -> None:
        keep_alive = request.keep_alive and request.chunked
        named = request_id or _request_id(request)
        connection.send(plain_reply(body, named, status=status, close=not keep_alive, content_type=content_type))
        connection.finished(keep_alive=keep_alive)

    def _refuse(
        self, connection: ClientConnection, request: Request, status: int, message: str, request_id: str = ""
    ) -> None:
        kind = "invalid_request_error"
        if connection.session is not None:
            connection.send(connection.session.refused(message, kind, status))
            connection.finished(keep_alive=True)
        else:
            self._reply(connection, request, error_body(message, kind, status), status, request_id)

    def _models(self, connection: ClientConnection, request: Request, *_: str) -> None:
        model = {"id": self._behaviour.model, "object": "model", "created": self._created, "owned_by": "otel-llm"}
        self._reply(connection, request, orjson.dumps({"object": "list", "data": [model]}))

    def _health(self, connection: ClientConnection, request: Request, *_: str) -> None:
        self._reply(connection, request, b'{"status":"ok"}')

    def _metrics(self, connection: ClientConnection, request: Request, *_: str) -> None:
        if self._exposition is None:
            self._refuse(connection, request, 404, "expected a server started with --engine, got one without")
        else:
            waiting, cache = self._slots.waiting, self._slots.cache_used
            load = Load(self.counters.inflight - waiting, waiting, cache)
            self._reply(connection, request, self._exposition.page(load), content_type=self._exposition.content_type)

    def _version(self, connection: ClientConnection, request: Request, *_: str) -> None:
        if version := self._behaviour.server_version:
            self._reply(connection, request, orjson.dumps({"version": version}))
        else:
            self._refuse(connection, request, 404, "expected a server started with --server-version, got one without")

    def _stats(self, connection: ClientConnection, request: Request, *_: str) -> None:
        used = os.times()
        now = {
            "mono_ns": now_ns(),
            "cpu_s": used.user + used.system,
            "cpu_system_s": used.system,
            "waiting": self._slots.waiting,
        }
        self._reply(connection, request, orjson.dumps(now | asdict(self.counters)))

    def _have_incident(self, connection: ClientConnection, request: Request, *_: str) -> None:
        wanted = request.body.decode(errors="replace").strip()
        try:
            behaviour = replace(self._as_started, incident="" if wanted == "none" else wanted)
        except ConfigError as error:
            self._refuse(connection, request, 400, str(error))
        else:
            self._incident.cancel()
            self._begin(behaviour)
            self._health(connection, request)

    def _reset(self, connection: ClientConnection, request: Request, *_: str) -> None:
        self.reset()
        self._stats(connection, request)

    # answers that take their time

    def _complete(self, connection: ClientConnection, request: Request, knobs: str, path: str, ending: str) -> None:
        row = SentRow(
            id=_request_id(request) or str(next(self._sequence)),
            path=path,
            remote=connection.remote,
            recv=request.recv,
            prompt_bytes=len(request.body),
            traceparent=request.headers.get("traceparent", ""),
            session=request.headers.get("x-session-id") or request.headers.get("x-session-affinity", ""),
        )
        self.counters.began()
        try:
            formats = FORMATS[ending] if connection.session is None else (connection.session.spoken,)
            spoken, question = self._question(request, knobs, path, formats)
        except ConfigError as error:
            row.status, row.err = 400, str(error)
            row.start = row.end = now_ns()
            self._over(row)
            self._refuse(connection, request, 400, str(error), row.id)
        else:
            row.finish = question.finish
            row.prompt_tokens, row.cached_tokens = question.prompt_tokens, self._cache.take(question.words)
            row.room = question.prompt_tokens + question.tokens
            question = replace(question, cached_tokens=row.cached_tokens)
            answer = spoken(question, row.id, self._created)
            answer.took = lambda: row.took(now_ns())
            self._start(connection, request, answer, row)

    def _question(
        self, request: Request, knobs: str, path: str, formats: Sequence[type[Format]]
    ) -> tuple[type[Format], Question]:
        behaviour = self._behaviour.with_text(knobs).with_text(request.headers.get("x-sim", ""))
        spoken, question = read_question(formats, path, request.headers, request.body, behaviour)
        for name in OF_THE_SERVER:
            if (wanted := getattr(question.behaviour, name)) != getattr(self._behaviour, name):
                raise ConfigError(f"{name} as an option of the server", wanted, f"start it with {option_name(name)}")
        return spoken, question

    def _start(self, connection: ClientConnection, request: Request, answer: Format, row: SentRow) -> None:
        question = answer.question
        row.fault = fault = draw_fault(question.behaviour, row.id)
        keep_alive = request.keep_alive and request.chunked
        close = not keep_alive
        if fault.isdigit():  # an overloaded server says so without a slot
            row.status = int(fault)
            stream = AnswerPlayer(connection, row, self._over, keep_alive=keep_alive)
            stream.begin(error_writes(answer, row.status, row.id, close=close), row.recv, self._wheel)
            return
        if question.stream:
            writes = stream_writes(answer, row.id, fault, chunked=request.chunked, close=close)
        else:
            writes = whole_writes(answer, row.id, fault, close=close)
        player = AnswerPlayer(connection, row, self._leave, keep_alive=keep_alive)
        player.stop_by(answer.stopped, to_ns(question.behaviour.stop_ms), self._wheel)
        self._seat(player, row, writes)

    def _seat(self, stream: AnswerPlayer, row: SentRow, writes: Iterator[Write]) -> None:
        def seated(free_ns: int) -> None:
            if row.end:  # the client did not wait
                self._slots.give(free_ns, row.room)
            else:
                stream.begin(writes, max(row.recv, free_ns), self._wheel)

        self._slots.take(seated, row.room)

    def _leave(self, row: SentRow) -> None:
        self._over(row)
        if row.start:  # one who left the line had no slot
            self._slots.give(row.free, row.room)

    def _over(self, row: SentRow) -> None:
        self.counters.ended(row)
        if self._exposition is not None:
            self._exposition.add(row)
        self.log.add(row)


def _request_id(request: Request) -> str:
    return request.headers.get("x-request-id", "")


_Handler = Callable[[Service, ClientConnection, Request, str, str, str], None]
_ROUTES: Final[dict[str, tuple[str, _Handler]]] = {
    **dict.fromkeys(FORMATS, ("POST", Service._complete)),
    "/models": ("GET", Service._models),
    "/metrics": ("GET", Service._metrics),
    "/version": ("GET", Service._version),
    **dict.fromkeys(("/health", "/healthz"), ("GET", Service._health)),
    "/sim/stats": ("GET", Service._stats),
    "/sim/reset": ("POST", Service._reset),
    "/sim/incident": ("POST", Service._have_incident),
}

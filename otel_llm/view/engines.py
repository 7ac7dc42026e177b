"""What engines say of themselves while they work, beside the calls that they answer: the latest gauges of each."""

import threading
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from otel_llm import conventions
from otel_llm.receiver.decode import ReceivedPoint
from otel_llm.view.calls import SERVER
from otel_llm.view.said import group_of

__all__ = ["Engine", "Engines"]

_MOST: Final = 300
_GAUGES: Final[Mapping[str, str]] = {
    name: gauge
    for gauge, key in (
        ("running", "server_requests_running"), ("waiting", "server_requests_waiting"),
        ("in_flight", "server_requests_in_flight"), ("kv_cache", "server_kv_cache_utilization"),
    )
    for name in conventions.instrument(key).names((conventions.V1_41, conventions.LATEST))
}  # fmt: skip


class Engine(NamedTuple):
    """An engine, or a part of one that speaks for itself; empty where nobody said."""

    engine: str
    model: str
    instance: str
    rank: str
    role: str


class Engines:
    """The latest gauges. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[Engine, dict[str, tuple[float, int]]] = {}

    def take(self, point: ReceivedPoint) -> None:
        """Take a data point; one that is no gauge of an engine is left."""
        gauge = _GAUGES.get(point.name)
        if gauge is None or point.histogram is not None:
            return
        engine = _engine_of(point)
        with self._lock:
            if engine not in self._latest and len(self._latest) >= _MOST:
                del self._latest[min(self._latest, key=lambda each: _said_at(self._latest[each]))]
            self._latest.setdefault(engine, {})[gauge] = (point.value, point.time_unix_ns)

    def look(self, since: float | None) -> list[dict[str, Any]]:
        """Return the engines that said something after `since`, Unix time in s; None: all.

        `running`, `waiting` and `in_flight` are requests, `kv_cache` a share, 0 to 1; what was not said is not there.
        `at` is when the engine last said something.
        """
        with self._lock:
            latest = {engine: dict(said) for engine, said in self._latest.items()}
        rows = [
            {**engine._asdict(), **{gauge: value for gauge, (value, _) in said.items()}, "at": _said_at(said) / 1e9}
            for engine, said in sorted(latest.items())
        ]
        return [row for row in rows if since is None or row["at"] >= since]


def _said_at(said: Mapping[str, tuple[float, int]]) -> int:
    return max(at for _, at in said.values())


def _engine_of(point: ReceivedPoint) -> Engine:
    group = group_of(point.attributes, point.resource, SERVER)
    texts = (point.attributes.get(name) for name in (conventions.ENGINE_RANK, conventions.ENGINE_ROLE))
    instance = point.resource.get(conventions.SERVICE_INSTANCE_ID) or group.service
    rank, role = (str(text or "") for text in texts)
    return Engine(str(point.attributes.get(conventions.ENGINE) or ""), group.model, str(instance), rank, role)

"""What a load run is to do, decided and checked before the first byte leaves."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from otel_llm.errors import ConfigError
from otel_llm.load import arrivals
from otel_llm.wire.connection import WATCHES_SOCKETS
from otel_llm.wire.http import request_bytes
from otel_llm.wire.protocol import Protocol, WireRequest
from otel_llm.wire.target import Target, tls_context

__all__ = ["LoadPlan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """A run. A closed loop keeps `parallel` requests under way; an open loop sends `rate` a second regardless.

    requests:        bodies to be sent, in order and then again from the start until `number` were sent
    rate:            requests per second as a Poisson process; -1 sends all at time 0; None is a closed loop
    max_concurrency: the most requests an open loop has under way; more than that wait, and their waiting counts
    keep_events:     hand the data of every event on with its request
    transport:       "socket" stamps the reads of a socket of ours, "stream" what the loop's transports hand over
    tls:             arguments of `otel_llm.wire.target.tls_context`
    ramp_s:          seconds over which a closed loop starts; None: 5 ms apart, and no longer than one answer takes
    """

    target: Target
    protocol: type[Protocol]
    model: str
    requests: tuple[WireRequest, ...]
    number: int
    parallel: int = 1
    rate: float | None = None
    max_concurrency: int | None = None
    seed: int = 0
    ramp_s: float | None = None
    stream: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    connect_timeout_s: float = 120.0
    read_timeout_s: float = 120.0
    traceparent: bool = True
    keep_events: bool = True
    tls: Mapping[str, Any] = field(default_factory=dict)
    workers: int = 1
    transport: Literal["socket", "stream"] = "socket" if WATCHES_SOCKETS else "stream"

    def __post_init__(self) -> None:
        if not self.requests:
            raise ConfigError("at least one request to send", 0, "give --prompt or --dataset")
        for option, value in (("-n", self.number), ("--parallel", self.parallel), ("--workers", self.workers)):
            if value < 1:
                raise ConfigError(f"{option} to be 1 or more", value)
        if self.rate is not None and self.rate <= 0 and self.rate != -1:
            raise ConfigError("--rate to be above 0, or -1 to send everything at once", self.rate)
        if self.max_concurrency is not None and self.max_concurrency < 1:
            raise ConfigError("--max-concurrency to be 1 or more", self.max_concurrency)
        for option, seconds in (
            ("--connect-timeout", self.connect_timeout_s),
            ("--read-timeout", self.read_timeout_s),
        ):
            if seconds <= 0:
                raise ConfigError(f"{option} to be above 0 seconds", seconds)

        if self.transport == "stream" and self.target.proxy is not None:
            raise ConfigError("--transport socket with a proxy", self.transport)
        # what would break in a worker breaks here, where it is one line
        request_bytes(self.target.request_target, self.target.host_header, self.all_headers(0), b"")
        if self.target.tls:
            tls_context(**self.tls)

    def all_headers(self, index: int) -> dict[str, str]:
        """Return the headers of request number `index`: the protocol's, and over them those that were given."""
        return {**self.target.proxy_headers, **self.request(index).headers, **self.headers}

    @property
    def open_loop(self) -> bool:
        return self.rate is not None

    @property
    def mode(self) -> str:
        """`closed` or `open`, as telemetry and reports name it."""
        return "open" if self.open_loop else "closed"

    def request(self, index: int) -> WireRequest:
        """Return what request number `index` asks."""
        return self.requests[index % len(self.requests)]

    def arrivals(self) -> Iterator[int]:
        """Return when an open loop means to send, ns from its start, for every request of all workers."""
        if self.rate is None or self.rate == -1:
            return arrivals.immediate()
        return arrivals.poisson(self.rate, self.seed)

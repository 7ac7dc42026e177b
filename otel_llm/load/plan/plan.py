"""What a load run is to do, decided and checked before the first byte leaves."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from typing import Any, Final, Literal

from otel_llm.errors import ConfigError
from otel_llm.load.plan import arrivals
from otel_llm.load.plan.cachebust import busted
from otel_llm.wire.http import request_bytes
from otel_llm.wire.loop import WATCHES_SOCKETS
from otel_llm.wire.protocol import Protocol, WireRequest
from otel_llm.wire.target import Target, tls_context

__all__ = ["ENDLESS", "LoadPlan"]

ENDLESS: Final = 1 << 40
"""The number of requests of a closed loop that only the clock ends."""


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
    targets:         more endpoints: request i goes to endpoint i modulo their number, `target` being the first
    duration_s:      no request begins later than this
    grace_s:         how long those under way at `duration_s` are waited for
    cache_salt:      not "": each prompt begins with 16 characters of its own, made from this
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
    targets: tuple[Target, ...] = ()
    new_connection: bool = False
    duration_s: float | None = None
    grace_s: float = 30.0
    warmup: int = 0
    max_errors: int | None = None
    max_tokens: int | None = None
    cache_salt: str = ""

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
        self._check_limits()
        if self.transport == "stream" and any(target.proxy is not None for target in self.endpoints):
            raise ConfigError("--transport socket with a proxy", self.transport)
        # what would break in a worker breaks here, where it is one line
        for target in self.endpoints:
            request_bytes(target.request_target, target.host_header, self.all_headers(0), b"")
            if target.tls:
                tls_context(**self.tls)

    def _check_limits(self) -> None:
        for option, seconds in (
            ("--connect-timeout", self.connect_timeout_s),
            ("--read-timeout", self.read_timeout_s),
            ("--duration", self.duration_s),
        ):
            if seconds is not None and not seconds > 0:
                raise ConfigError(f"{option} to be above 0 seconds", seconds)
        if not self.grace_s >= 0:
            raise ConfigError("--grace to be 0 seconds or more", self.grace_s)
        if self.warmup < 0:
            raise ConfigError("--warmup to be 0 or more", self.warmup)
        for option, limit in (("--max-errors", self.max_errors), ("--max-tokens-total", self.max_tokens)):
            if limit is not None and limit < 1:
                raise ConfigError(f"{option} to be 1 or more", limit)

    @property
    def endpoints(self) -> tuple[Target, ...]:
        """Every endpoint, in the order in which they are asked."""
        return self.targets or (self.target,)

    def endpoint(self, index: int) -> Target:
        """Return where request number `index` goes."""
        return self.endpoints[index % len(self.endpoints)]

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
        request = self.requests[index % len(self.requests)]
        return replace(request, body=busted(request.body, self.cache_salt, index)) if self.cache_salt else request

    @property
    def endless(self) -> bool:
        """Whether the clock alone says how many requests there are."""
        return self.number >= ENDLESS

    @property
    def repeats(self) -> int:
        """How often one and the same prompt is sent, at most."""
        distinct = len({request.body for request in self.requests})
        return 1 if self.cache_salt or self.endless else -(-self.number // distinct)

    def due_by(self, offset_ns: int) -> int:
        """Return how many requests an open loop means to have sent so long after its start."""
        return sum(1 for _ in takewhile(lambda at: at <= offset_ns, islice(self.arrivals(), self.number)))

    def arrivals(self) -> Iterator[int]:
        """Return when an open loop means to send, ns from its start, for every request of all workers."""
        if self.rate is None or self.rate == -1:
            return arrivals.immediate()
        return arrivals.poisson(self.rate, self.seed)

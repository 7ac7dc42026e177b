"""What a load run is to do, decided and checked before the first byte leaves."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from operator import not_
from typing import Any, Final, Literal

from otel_llm.errors import ConfigError
from otel_llm.load.plan.arrivals import ARRIVALS, DEFAULT, immediate
from otel_llm.load.plan.cachebust import draw_salt, fill_in
from otel_llm.load.plan.option import (
    ABOVE_0,
    ONE_OR_MORE,
    ZERO_OR_MORE,
    Check,
    Group,
    check_fields,
    option,
)
from otel_llm.wire.http import request_bytes
from otel_llm.wire.protocol import Protocol, WireRequest
from otel_llm.wire.target import Target, tls_context

__all__ = ["ENDLESS", "LoadPlan"]

ENDLESS: Final = 1 << 40
"""The number of requests of a closed loop that only the clock ends."""

_Transport = Literal["socket", "stream"]
_TRANSPORT: Final[_Transport] = "stream" if sys.platform == "win32" else "socket"
"""A loop on Windows cannot watch a socket of ours."""

_PROCESSES: Final = "; ".join(f"{name}, {process.about}" for name, process in ARRIVALS.items())


def _count_workers(text: str) -> int:
    return max((os.cpu_count() or 2) - 1, 1) if text == "auto" else int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """A run. A closed loop keeps `parallel` requests under way; an open loop sends `rate` a second regardless.

    requests:        bodies to be sent, in order and then again from the start until `number` were sent
    rate:            requests per second, by `arrival_process`; -1 sends all at time 0; None is a closed loop
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
    targets: tuple[Target, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    tls: Mapping[str, Any] = field(default_factory=dict)
    keep_events: bool = True

    stream: bool = option(
        True, "--no-stream", group=Group.ASK, action="store_true", to_field=not_,
        help="ask for whole answers (there is no first token then)",
    )  # fmt: skip
    cache_salt: str = option(
        "", "--cache-bust", group=Group.ASK, action="store_true", to_field=draw_salt,
        help="begin every prompt differently, so that no cached prefix answers it",
    )  # fmt: skip

    number: int = option(
        1, "-n", "--number", group=Group.AMOUNT, type=int, metavar="N", default=None, check=ONE_OR_MORE,
        help="requests; default: one for --prompt, one pass of the dataset",
    )  # fmt: skip
    parallel: int = option(
        1, "--parallel", group=Group.AMOUNT, type=int, metavar="N", default=None, check=ONE_OR_MORE,
        help="closed loop: requests under way at any time (default: 1)",
    )  # fmt: skip
    rate: float | None = option(
        None, "--rate", group=Group.AMOUNT, type=float, metavar="R",
        check=Check("to be above 0, or -1 to send everything at once", lambda rate: rate > 0 or rate == -1),
        help="open loop: requests per second, whatever comes back; -1 sends all at time 0",
    )  # fmt: skip
    arrival_process: str = option(
        DEFAULT, "--arrivals", group=Group.AMOUNT, metavar="NAME",
        check=Check(f"to be one of {', '.join(ARRIVALS)}", lambda name: name in ARRIVALS),
        help=f"how --rate spaces requests: {_PROCESSES} (default: %(default)s)",
    )  # fmt: skip
    max_concurrency: int | None = option(
        None, "--max-concurrency", group=Group.AMOUNT, type=int, metavar="N", check=ONE_OR_MORE,
        help="the most requests an open loop has under way; others wait",
    )  # fmt: skip
    seed: int = option(
        0,
        "--seed",
        group=Group.AMOUNT,
        type=int,
        metavar="N",
        help="of the arrival times and synthetic prompts (default: 0)",
    )
    ramp_s: float | None = option(
        None, "--ramp", group=Group.AMOUNT, type=float, metavar="S",
        help="seconds over which a closed loop starts; default: about one answer",
    )  # fmt: skip
    warmup: int = option(
        0, "--warmup", group=Group.AMOUNT, type=int, metavar="N", check=ZERO_OR_MORE,
        help="requests sent before the run; none of them counts",
    )  # fmt: skip
    workers: int = option(
        1, "--workers", group=Group.AMOUNT, type=_count_workers, metavar="N", check=ONE_OR_MORE,
        help="processes that send and receive; auto: one for each core but one (default: 1)",
    )  # fmt: skip

    duration_s: float | None = option(
        None, "--duration", group=Group.STOP, type=float, metavar="S", check=ABOVE_0,
        help="begin no request after so many seconds; prompts start again",
    )  # fmt: skip
    grace_s: float = option(
        30.0, "--grace", group=Group.STOP, type=float, metavar="S", default=None,
        check=Check("to be 0 seconds or more", lambda seconds: seconds >= 0),
        help="then wait so long for those under way (default: 30)",
    )  # fmt: skip
    max_errors: int | None = option(
        None, "--max-errors", group=Group.STOP, type=int, metavar="N", check=ONE_OR_MORE,
        help="stop when so many requests have failed; exit code 1",
    )  # fmt: skip
    max_tokens: int | None = option(
        None, "--max-tokens-total", group=Group.STOP, type=int, metavar="N", check=ONE_OR_MORE,
        help="begin no request after so many tokens, in and out together",
    )  # fmt: skip
    connect_timeout_s: float = option(
        120, "--connect-timeout", group=Group.STOP, type=float, metavar="S", check=ABOVE_0,
        help="seconds to connect (default: %(default)s)",
    )  # fmt: skip
    read_timeout_s: float = option(
        120, "--read-timeout", group=Group.STOP, type=float, metavar="S", check=ABOVE_0,
        help="seconds between two reads (default: %(default)s)",
    )  # fmt: skip

    traceparent: bool = option(
        True, "--no-traceparent", group=Group.RESULTS, action="store_true", to_field=not_,
        help="send no trace context to the server",
    )  # fmt: skip

    new_connection: bool = option(
        False, "--new-connection", group=Group.REACH, before="--insecure", action="store_true",
        help="a new connection for every request",
    )  # fmt: skip
    transport: _Transport = option(
        _TRANSPORT,
        "--transport", group=Group.REACH, before="--uds", choices=("socket", "stream"), default=None,
        help="how reads are stamped: on a socket of ours (the kernel's stamps on Linux), or by the loop's transports",
    )  # fmt: skip

    def __post_init__(self) -> None:
        if not self.requests:
            raise ConfigError("at least one request to send", 0, "give --prompt or --dataset")
        check_fields(self)
        if self.transport == "stream" and any(target.proxy is not None for target in self.endpoints):
            raise ConfigError("--transport socket with a proxy", self.transport)
        # what would break in a worker breaks here, where it is one line
        for target in self.endpoints:
            request_bytes(target.request_target, target.host_header, self.all_headers(0), b"")
            if target.tls:
                tls_context(**self.tls)

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
        return replace(request, body=fill_in(request.body, self.cache_salt, index)) if self.cache_salt else request

    @property
    def endless(self) -> bool:
        """Whether the clock alone says how many requests there are."""
        return self.number >= ENDLESS

    @property
    def repeats(self) -> int:
        """How often one and the same prompt is sent, at most."""
        distinct = len({request.body for request in self.requests})
        return 1 if self.cache_salt or self.endless else -(-self.number // distinct)

    def within_duration(self) -> "LoadPlan":
        """Return the plan of those requests alone that an open loop means to send before `duration_s` is over.

        A closed loop knows that no earlier than its clock does: its plan is returned as it is.
        """
        if self.rate is None or self.duration_s is None:
            return self
        end_ns = self.duration_s * 1e9
        return replace(self, number=self._count(lambda at: at < end_ns))

    def due_by(self, offset_ns: int) -> int:
        """Return how many requests an open loop means to have sent so long after its start."""
        return self._count(lambda at: at <= offset_ns)

    def _count(self, while_true: Callable[[int], bool]) -> int:
        return sum(1 for _ in takewhile(while_true, islice(self.arrivals(), self.number)))

    def arrivals(self) -> Iterator[int]:
        """Return when an open loop means to send, ns from its start, for every request of all workers."""
        if self.rate is None or self.rate == -1:
            return immediate()
        return ARRIVALS[self.arrival_process].moments(self.rate, self.seed)

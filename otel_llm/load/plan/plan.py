"""What a run of the load generator will do, decided and checked before the first byte is sent."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from math import inf
from operator import not_
from typing import Any, Final, Literal

import numpy as np

from otel_llm.errors import ConfigError
from otel_llm.load.asked import Asked, LazyRequests
from otel_llm.load.plan.arrivals import ARRIVALS, DEFAULT_PROCESS, arrival_moments, check_moments, check_process
from otel_llm.load.plan.cachebust import draw_salt, fill_in
from otel_llm.load.plan.conversations import Conversations
from otel_llm.load.plan.leaving import Leaving, parse_barge_in, parse_leaving
from otel_llm.load.plan.mixture import Mixture
from otel_llm.load.plan.option import (
    ABOVE_0,
    ONE_OR_MORE,
    ZERO_OR_MORE,
    Check,
    Group,
    check_fields,
    option,
)
from otel_llm.load.plan.option_values import parse_moment, seconds
from otel_llm.load.plan.share import Shard, Share, parse_shard
from otel_llm.load.plan.stages import Stages, parse_parallel, parse_rate
from otel_llm.load.plan.think_time import ThinkTime, parse_think_time
from otel_llm.wire.http import request_bytes
from otel_llm.wire.loop import WATCHES_SOCKETS
from otel_llm.wire.protocol import Protocol, WireRequest
from otel_llm.wire.sigv4 import Scope, Signer, parse_scope
from otel_llm.wire.target import Target, tls_context

__all__ = ["ENDLESS", "LoadPlan"]

ENDLESS: Final = 1 << 40
"""The number of requests in the plan of a closed loop that only the clock ends."""

_BURST_NS: Final = 10_000_000
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NAMES_A_HEADER: Final = Check("to name an HTTP header", lambda name: _HEADER_NAME.fullmatch(name) is not None)
_PROCESSES: Final = "; ".join(
    f"{name}{':CV' if process.cv is None else ''}, {process.about}" for name, process in ARRIVALS.items()
)


def _count_workers(text: str) -> int:
    return max((os.cpu_count() or 2) - 1, 1) if text == "auto" else int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """A run. A closed loop keeps `parallel` sessions under way; an open loop begins them at planned moments regardless.

    A session is one request, or a conversation. A field that an option of the command line sets declares that option,
    with its help.

    requests:        the first requests of sessions, in order and again from the start, until `number` were sent;
                     `LazyRequests` are made when they are needed
    mixture:         the models that sessions ask, or the classes they are of; None where all ask `model` alike
    conversations:   what follows them, one for each of `requests`; None where each session is one request
    session_salt:    what the names of this run's sessions begin with; "" where they need none
    targets:         all endpoints when there are several: session i goes to endpoint i modulo their number
    tls:             arguments of `otel_llm.wire.target.tls_context`
    finish_reason:   whether an answer without a finish reason counts as cut short
    keep_events:     keep the data of every event, and pass it on with its request
    cache_salt:      each prompt begins with 16 characters made from this; "" leaves the prompts as they are
    parallel:        the most of them, where they come and go
    levels:          how many of them there are over time; None: all of them, all the time
    rate:            requests per second over time, spaced by `arrival_process`; inf sends all at time 0; None is a
                     closed loop
    moments:         when an open loop sends each request, ns from its start, ascending; None: `rate` says
    max_concurrency: the most requests that an open loop has in flight; others wait, and their waiting is measured
    ramp_s:          seconds over which a closed loop starts; None: 5 ms apart, but no longer than one answer takes
    shard:           the part of the run that this machine does; None: all of it
    start_at_ns:     Unix time, ns, at which the run begins; None: when all is ready
    duration_s:      no request starts later than this
    grace_s:         how long to wait, after `duration_s`, for requests in flight
    transport:       "socket" stamps reads from our own socket, "stream" what the event loop's transports deliver
    """

    target: Target
    protocol: type[Protocol]
    model: str
    requests: Sequence[WireRequest]
    mixture: Mixture | None = None
    conversations: Conversations | None = None
    session_salt: str = ""
    targets: tuple[Target, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    tls: Mapping[str, Any] = field(default_factory=dict)
    keep_events: bool = True
    moments: Sequence[int] | None = None
    levels: Stages | None = None

    stream: bool = option(
        True, "--no-stream", group=Group.ASK, action="store_true", to_field=not_,
        help="ask for whole answers (there is no first token then)",
    )  # fmt: skip
    finish_reason: bool = option(
        True, "--no-finish-reason", group=Group.ASK, action="store_true", to_field=not_,
        help="take an answer without a finish reason as whole",
    )  # fmt: skip
    session_header: str | None = option(
        None, "--session-header", group=Group.ASK, metavar="NAME",
        check=_NAMES_A_HEADER,
        help="send the name of a request's conversation in this header, for example X-Session-ID",
    )  # fmt: skip
    session_echo: str | None = option(
        None, "--session-echo", group=Group.ASK, metavar="NAME",
        check=_NAMES_A_HEADER,
        help="send this header of an answer back with the later turns of its conversation, for example x-session-token",
    )  # fmt: skip
    cache_salt: str = option(
        "", "--cache-bust", group=Group.ASK, action="store_true", to_field=draw_salt,
        help="begin every prompt differently, so that no cached prefix answers it",
    )  # fmt: skip

    number: int = option(
        1, "-n", "--number", group=Group.AMOUNT, type=int, metavar="N", default=None,
        check=Check("to be 1 or more", lambda number: 1 <= number <= ENDLESS),
        help="requests; default: one for --prompt, one pass of the dataset",
    )  # fmt: skip
    parallel: int = option(
        1, "--parallel", group=Group.AMOUNT, nargs="+", metavar="N", default=None, check=ONE_OR_MORE,
        to_field=lambda texts: int(parse_parallel(texts).peak),
        help="closed loop: requests in progress at any time (default: 1); in stages 8:30s 32:60s, rising 1..50:5m",
    )  # fmt: skip
    rate: Stages | None = option(
        None, "--rate", group=Group.AMOUNT, nargs="+", metavar="R", to_field=parse_rate,
        help="open loop: requests per second, whatever comes back; in stages 2:30s 10:60s, rising 1..50:5m; "
        "-1 sends all at time 0",
    )  # fmt: skip
    arrival_process: str = option(
        DEFAULT_PROCESS, "--arrivals", group=Group.AMOUNT, metavar="NAME",
        help=f"how --rate spaces requests: {_PROCESSES} (default: %(default)s)",
    )  # fmt: skip
    max_concurrency: int | None = option(
        None, "--max-concurrency", group=Group.AMOUNT, type=int, metavar="N", check=ONE_OR_MORE,
        help="the most requests an open loop has in progress; others wait",
    )  # fmt: skip
    think_time: ThinkTime | None = option(
        None, "--think-time", group=Group.AMOUNT, metavar="TIME", to_field=parse_think_time,
        help="between an answer and its user's next request; or exponential:MEAN, uniform:A..B",
    )  # fmt: skip
    leaving: Leaving | None = option(
        None, "--cancel", group=Group.AMOUNT, metavar="SHARE:TIME", to_field=parse_leaving,
        help="leave this share of the requests so long after they were sent, such as 5%%:500ms",
    )  # fmt: skip
    barge_in: Leaving | None = option(
        None, "--barge-in", group=Group.AMOUNT, metavar="SHARE:TIME", to_field=parse_barge_in,
        help="have the server stop this share of the answers, so long after their requests were sent (Realtime)",
    )  # fmt: skip
    seed: int = option(
        0, "--seed", group=Group.AMOUNT, type=int, metavar="N", check=ZERO_OR_MORE,
        help="of the arrival times and synthetic prompts (default: %(default)s)",
    )  # fmt: skip
    shard: Shard | None = option(
        None, "--shard", group=Group.MACHINES, metavar="K/N", to_field=parse_shard,
        help="do the K-th of N parts of this run, whose run files `otel-llm merge` joins; index/N in an Indexed Job",
    )  # fmt: skip
    start_at_ns: int | None = option(
        None, "--start-at", group=Group.MACHINES, metavar="TIME", to_field=parse_moment,
        help="begin at this moment, as every shard does: 2026-01-31T12:00:00Z, or Unix seconds",
    )  # fmt: skip
    ramp_s: float | None = option(
        None, "--ramp", group=Group.AMOUNT, type=seconds, metavar="TIME",
        check=Check("to be 0 seconds or more", lambda ramp: 0 <= ramp < inf),
        help="in which a closed loop starts; default: about one answer",
    )  # fmt: skip
    warmup: int = option(
        0, "--warmup", group=Group.AMOUNT, type=int, metavar="N", check=ZERO_OR_MORE,
        help="requests sent before the run; none of them counts",
    )  # fmt: skip
    workers: int = option(
        1, "--workers", group=Group.MACHINES, type=_count_workers, metavar="N", check=ONE_OR_MORE,
        help="processes that send and receive; auto: one for each core but one (default: 1)",
    )  # fmt: skip

    duration_s: float | None = option(
        None, "--duration", group=Group.STOP, type=seconds, metavar="TIME", check=ABOVE_0,
        help="begin no request after it (30, 30s, 5min); prompts start again",
    )  # fmt: skip
    grace_s: float = option(
        30.0, "--grace", group=Group.STOP, type=seconds, metavar="TIME", default=None,
        check=Check("to be 0 seconds or more", lambda grace: grace >= 0),  # inf: for as long as it takes
        help="then wait so long for those in progress (default: 30s)",
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
        120, "--connect-timeout", group=Group.STOP, type=seconds, metavar="TIME", check=ABOVE_0,
        help="to connect (default: %(default)ss)",
    )  # fmt: skip
    read_timeout_s: float = option(
        120, "--read-timeout", group=Group.STOP, type=seconds, metavar="TIME", check=ABOVE_0,
        help="between two reads (default: %(default)ss)",
    )  # fmt: skip
    request_timeout_s: float | None = option(
        None, "--request-timeout", group=Group.STOP, type=seconds, metavar="TIME", check=ABOVE_0,
        help="for a whole request (default: no limit)",
    )  # fmt: skip

    traceparent: bool = option(
        True, "--no-traceparent", group=Group.RESULTS, action="store_true", to_field=not_,
        help="send no trace context to the server",
    )  # fmt: skip

    sigv4: Scope | None = option(
        None, "--sigv4", group=Group.REACH, before="--insecure", metavar="REGION", to_field=parse_scope,
        help="sign requests with the AWS credentials that boto3 would find; REGION/SERVICE for others than bedrock",
    )  # fmt: skip
    http2: bool = option(
        False, "--http2", group=Group.REACH, before="--insecure", action="store_true",
        help="ask by HTTP/2, one request at a time on a connection; without TLS the server has to expect it",
    )  # fmt: skip
    new_connection: bool = option(
        False, "--new-connection", group=Group.REACH, before="--insecure", action="store_true",
        help="a new connection for every request",
    )  # fmt: skip
    transport: Literal["socket", "stream"] = option(
        "socket" if WATCHES_SOCKETS else "stream",
        "--transport", group=Group.REACH, before="--uds", choices=("socket", "stream"), default=None,
        help="how reads are stamped: on a socket of ours (the kernel's stamps on Linux), or by the loop's transports",
    )  # fmt: skip

    def __post_init__(self) -> None:
        if not self.requests:
            raise ConfigError("at least one request to send", 0, "give --prompt or --dataset")
        check_fields(self)
        check_process(self.arrival_process)
        if self.moments is not None:
            check_moments(self.moments, self.number)
            if self.rate is not None:
                raise ConfigError("either moments or a rate", f"moments and {self.rate} a second")
        if self.transport == "stream" and any(target.proxy is not None for target in self.endpoints):
            raise ConfigError("--transport socket with a proxy", self.transport)
        # what would fail in a worker fails here, where it is reported in one line
        if self.sigv4 is not None:
            self._check_signing(self.sigv4)
        for target in self.endpoints:
            request_bytes(target.request_target, target.host_header, self.all_headers(self.request(0)), b"")
            if target.tls:
                tls_context(**self.tls)

    def _check_signing(self, scope: Scope) -> None:
        if "authorization" in {name.lower() for name in self.headers}:
            raise ConfigError("either --sigv4 or an Authorization header", "both", "--api-key-env gives one too")
        if any(target.carrier != "http" for target in self.endpoints):
            raise ConfigError("--sigv4 with a URL of http:// or https://", self.target.url)
        Signer(scope)

    @property
    def endpoints(self) -> tuple[Target, ...]:
        """All endpoints, in the order in which requests go to them."""
        return self.targets or (self.target,)

    def endpoint(self, session: int) -> Target:
        """Return where the requests of a session go."""
        return self.endpoints[session % len(self.endpoints)]

    def all_headers(self, request: WireRequest) -> dict[str, str]:
        """Return the headers of a request of this plan: those of the protocol, overridden by `headers`."""
        return {**self.target.proxy_headers, **request.headers, **self.headers}

    @property
    def open_loop(self) -> bool:
        """Whether requests are sent at intended moments, whatever the server has answered."""
        return self.rate is not None or self.moments is not None

    @property
    def burst(self) -> int:
        """How many requests are known to be due within 10 ms, at most."""
        if self.moments is None:
            return self.number if self.rate is not None and self.rate.peak == inf else 1
        at_ns = np.array(self.moments[: self.number], np.int64)
        return int((np.searchsorted(at_ns, at_ns + _BURST_NS) - np.arange(len(at_ns))).max())

    @property
    def level(self) -> bool:
        """Whether the same load is asked for all the time."""
        return self.moments is None and self.levels is None and (self.rate is None or self.rate.level)

    @property
    def mode(self) -> str:
        """`closed` or `open`, as telemetry and reports name it."""
        return "open" if self.open_loop else "closed"

    @property
    def pace(self) -> str:
        """How fast it goes, in words for a display."""
        if self.moments is not None:
            return f"{self.number:,} requests at given moments"
        if self.levels is not None:
            return f"{self.levels} in parallel"
        return f"{self.parallel} in parallel" if self.rate is None else f"{self.rate} requests/s"

    def slot_opens_ns(self, slot: int, offset_ns: int) -> int | None:
        """Return when a slot of a closed loop may next begin a request, from that moment on, ns from the start.

        None: it never may any more. Of a level that is no whole number the nearest counts.
        """
        if self.levels is None:
            return offset_ns
        at_s = self.levels.next_above(slot + 0.5, offset_ns / 1e9)
        return None if at_s is None else max(round(at_s * 1e9), offset_ns)

    def request(self, session: int) -> WireRequest:
        """Return the first request of a session."""
        request = self.requests[session % len(self.requests)]
        return replace(request, body=fill_in(request.body, self.cache_salt, session)) if self.cache_salt else request

    def model_of(self, session: int) -> str:
        """Return the model that a session asks."""
        return self.model if self.mixture is None else self.mixture.model(session % len(self.requests))

    def class_of(self, session: int) -> str | None:
        """Return the class of a session's requests; None without classes."""
        return None if self.mixture is None else self.mixture.class_of(session % len(self.requests))

    @property
    def groups(self) -> tuple[str, ...]:
        """What the requests are told apart by, besides: their turn, their model, their class, where they are sent."""
        mixed, classes = self.mixture is not None, self.mixture is not None and self.mixture.models is not None
        several = len(self.endpoints) > 1
        found = {"turn": self.conversations is not None, "model": mixed, "class": classes, "endpoint": several}
        return tuple(name for name, told in found.items() if told)

    def requests_before(self, session: int) -> int:
        """Return how many requests the sessions before this one have: the number of its first request."""
        return session if self.conversations is None else self.conversations.requests_before(session)

    def place(self, request: int) -> tuple[int, int]:
        """Return the session of a request, and which of its turns that is, from 0."""
        return (request, 0) if self.conversations is None else self.conversations.place(request)

    def waiting_for(self, request: int) -> set[int]:
        """Return the requests of a session that are sent only if this one succeeds."""
        return set() if self.conversations is None else self.conversations.waiting_for(request)

    def think_ns(self, request: int) -> int:
        """Return how long a user thinks after the answer to a request, ns."""
        return 0 if self.think_time is None else self.think_time.draw_ns(self.seed, request)

    def session_id(self, session: int) -> str | None:
        """Return the name of a session, which no session of another run has; None where sessions need none."""
        return f"{self.session_salt}-{session}" if self.session_salt else None

    @property
    def share(self) -> Share:
        """What this machine does of the sessions."""
        slots = self.max_concurrency if self.open_loop else self.parallel
        return Share(0, 1, slots) if self.shard is None else Share(*self.shard, slots)

    @property
    def planned(self) -> int:
        """How many requests the sessions of this machine have."""
        return self.requests_before(self.number) if self.endless else self._requests_of(self.number)

    def _requests_of(self, sessions: int) -> int:
        """Return how many requests those of the first `sessions` have that are this machine's."""
        if self.shard is None:
            return self.requests_before(sessions)
        if self.conversations is None:
            return self.share.of(sessions)
        mine = self.share.indices(sessions)
        return sum(self.requests_before(session + 1) - self.requests_before(session) for session in mine)

    def asked(self, index: int) -> Asked:
        """Return the lengths that request number `index` asks for."""
        if self.conversations is not None:
            return Asked(output_tokens=self.conversations.output_tokens(index))  # a later prompt has answers in it
        requests = self.requests
        return requests.asked(index % len(requests)) if isinstance(requests, LazyRequests) else Asked()

    @property
    def endless(self) -> bool:
        """Whether only the clock ends the run, so that the number of requests is not known beforehand."""
        return self.number >= ENDLESS

    @property
    def repeats(self) -> int:
        """How many times a prompt is sent, at most. 1 where each is different, or where nobody can know."""
        distinct = (
            self.requests.distinct
            if isinstance(self.requests, LazyRequests)
            else len({request.body for request in self.requests})
        )
        return 1 if self.cache_salt or self.endless else -(-self.number // distinct)

    def within_duration(self) -> "LoadPlan":
        """Return the plan with the number of sessions that an open loop intends to begin before `duration_s` is over.

        A closed loop cannot know that beforehand: its plan is returned as it is.
        """
        if not self.open_loop or self.duration_s is None:
            return self
        end_ns = self.duration_s * 1e9
        if not (number := self._count(lambda at: at < end_ns)):
            at = "" if self.rate is None else f" at {self.rate} a second"
            raise ConfigError(
                "a request to arrive within --duration", f"none in {self.duration_s:g} s{at}",
                "give more seconds" if self.rate is None else "give more seconds, a higher --rate or another --seed",
            )  # fmt: skip
        return replace(self, number=number)

    def due_by(self, offset_ns: int) -> int:
        """Return how many requests of this machine an open loop intends to have begun after so long."""
        return self._requests_of(self._count(lambda at: at <= offset_ns))

    def _count(self, while_true: Callable[[int], bool]) -> int:
        return sum(1 for _ in takewhile(while_true, islice(self.arrivals(), self.number)))

    def arrivals(self) -> Iterator[int]:
        """Yield when an open loop intends to begin each session, of all workers, ns from its start."""
        if self.moments is not None:
            return iter(self.moments)
        if self.rate is None:
            return iter(())
        return arrival_moments(self.arrival_process, self.rate, self.seed)

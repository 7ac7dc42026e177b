"""What is wrong with each service: which part of its time grew, at which replica, since when, and what fails."""

import itertools
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from otel_llm_collector.incident.asking import Labels, Prometheus
from otel_llm_collector.incident.symptoms import (
    ERROR,
    PARTS,
    REPLICA,
    SERVICE,
    down,
    failures,
    fullest,
    lengths,
    mean,
    requests,
)

__all__ = ["CAUSES", "Finding", "find", "wrong"]

CAUSES: Final = ("down", "errors", "cache", "queue", "prefill", "decode", "first token", "gap")
"""What can stand out, the worst first."""

_STEPS: Final = 4
"""Moments within a window that are looked at to say when something began."""
_FAILING: Final = 0.05
_FULL: Final = 0.95
_GREW: Final = 1.5
_OUTLIER: Final = 2.0
_LEAST_S: Final = {"gap": 0.005}
"""A growth by less than this many seconds bothers nobody; what is not listed: 0.05."""


@dataclass
class Finding:
    """One service, now and before. Times in seconds; moments are Unix seconds; shares 0 to 1."""

    service: Labels
    now: dict[str, float] = field(default_factory=dict)
    before: dict[str, float] = field(default_factory=dict)
    longer: dict[str, float] = field(default_factory=dict)  # what grew in length, and how many times
    failed: float = 0.0
    errors: dict[str, float] = field(default_factory=dict)  # error.type → requests per second
    caches: dict[str, float] = field(default_factory=dict)  # replica → share in use
    cause: str = ""  # one of CAUSES; empty: nothing stands out
    replicas: list[str] = field(default_factory=list)  # those that stand out, or the only one; empty: all alike
    alike: int = 0  # how many were compared
    since: float | None = None  # None: longer ago than was asked about


def find(store: Prometheus, until: float, since_s: float, window_s: float = 60.0) -> list[Finding]:
    """Return what is known of each service between `until - since_s` and `until`, the worst first.

    window_s: how long a time each value is the mean of
    """
    looking = _Looking(store, until, since_s, window_s)
    found = {labels: Finding(labels) for labels in looking.services()}
    for finding in found.values():
        looking.judge(finding)
    return sorted(found.values(), key=lambda finding: ((*CAUSES, "").index(finding.cause), -_growth(finding)))


def wrong(findings: Iterable[Finding]) -> list[Finding]:
    """Return those of which something stands out."""
    return [finding for finding in findings if finding.cause]


class _Looking:
    """The answers to all questions, each asked once for all services."""

    def __init__(self, store: Prometheus, until: float, since_s: float, window_s: float) -> None:
        self._store, self._until, self._window_s = store, until, window_s
        self._then = until - since_s
        window = f"{window_s:g}s"
        self._parts = {name: mean(of, SERVICE, window) for name, of in PARTS.items()}
        self._now = {name: store.at(asked, until) for name, asked in self._parts.items()}
        self._before = {name: store.at(asked, self._then) for name, asked in self._parts.items()}
        self._parts_at = {name: mean(of, (*SERVICE, *REPLICA), window) for name, of in PARTS.items()}
        self._replicas = {name: store.at(asked, until) for name, asked in self._parts_at.items()}
        self._failures, self._requests = failures(SERVICE, window), requests(SERVICE, window)
        self._failed, self._all = store.at(self._failures, until), store.at(self._requests, until)
        self._failed_at = store.at(failures((*SERVICE, *REPLICA), window), until)
        self._caches = store.at(fullest(), until)
        self._down = store.at(down(f"{since_s + window_s:g}s"), until)
        kinds = {"prompts": "server_request_prompt_tokens", "answers": "server_request_generation_tokens"}
        self._lengths = {
            what: [store.at(lengths(key, SERVICE, window), at) for at in (until, self._then)]
            for what, key in kinds.items()
        }

    def services(self) -> list[Labels]:
        """Return every service that was seen, then or now."""
        answers = [*self._now.values(), *self._before.values(), self._all, self._caches, self._down]
        return sorted({_only(labels, SERVICE) for answer in answers for labels in answer})

    def judge(self, finding: Finding) -> None:
        """Fill in what is known, and name the cause."""
        of = finding.service
        finding.now = {name: answer[of] for name, answer in self._now.items() if of in answer}
        finding.before = {name: answer[of] for name, answer in self._before.items() if of in answer}
        finding.errors = {
            dict(labels)[ERROR]: rate
            for labels, rate in self._failed.items()
            if _only(labels, SERVICE) == of and rate > 0
        }
        every = self._all.get(of, 0.0)
        finding.failed = sum(finding.errors.values()) / every if every else 0.0
        finding.caches = self._by_replica(self._caches, of)
        for what, (now, before) in self._lengths.items():
            if before.get(of) and now.get(of, 0.0) > _GREW * before[of]:
                finding.longer[what] = now[of] / before[of]
        gone = [dict(labels)["instance"] for labels in self._down if _only(labels, SERVICE) == of]
        if gone:
            finding.cause, finding.replicas = "down", gone
            asked = f"1 - up{_matching(of, 'job')}"
            finding.since = self._began(asked, 0.5, lambda labels: dict(labels).get("instance") in gone)
        elif finding.failed > _FAILING:
            finding.cause = "errors"
            self._place(finding, self._by_replica(self._failed_at, of))
            asked = f"sum by ({', '.join(SERVICE)}) ({self._failures})"
            finding.since = self._began(asked, every * _FAILING, lambda labels: _only(labels, SERVICE) == of)
        else:
            self._judge_times(finding)

    def _judge_times(self, finding: Finding) -> None:
        """Name the part of the time that grew most, or the replica at which one is longer than at the others."""
        grew = {name: more for name in finding.now if (more := _more(finding, name)) > _LEAST_S.get(name, 0.05)}
        of = finding.service
        # a gap or a first token that grew is the symptom of a part, where the engine tells its parts
        told: list[str] = [name for name in ("queue", "prefill", "decode") if name in grew] or list(grew)
        if told:
            name = max(told, key=grew.__getitem__)
            level = (finding.now[name] * max(finding.before.get(name, 0.0), 1e-3)) ** 0.5
            finding.since = self._began(self._parts[name], level, lambda labels: _only(labels, SERVICE) == of)
            self._place(finding, self._by_replica(self._replicas[name], of))
        else:
            name = self._apart(finding)
        if not name:
            return
        full = [replica for replica, share in finding.caches.items() if share > _FULL]
        finding.cause = "cache" if name == "queue" and full else name

    def _apart(self, finding: Finding) -> str:
        """Return the part of the time that is longer at a replica than at the others, "" if none is."""
        of = finding.service
        for name in finding.now:
            values = self._by_replica(self._replicas[name], of)
            self._place(finding, values)
            if len(values) > 1 and finding.replicas:
                usual = statistics.median(each for replica, each in values.items() if replica not in finding.replicas)
                level = (min(values[replica] for replica in finding.replicas) * max(usual, 1e-3)) ** 0.5
                finding.since = self._began(
                    self._parts_at[name],
                    level,
                    lambda labels: _only(labels, SERVICE) == of and _replica(labels) in finding.replicas,
                )
                return name
        finding.alike, finding.replicas = 0, []
        return ""

    @staticmethod
    def _place(finding: Finding, values: Mapping[str, float]) -> None:
        """Say at which replicas it is, by what each of them has."""
        finding.alike = len(values)
        finding.replicas = list(values) if len(values) == 1 else _outliers(values)

    def _by_replica(self, answer: Mapping[Labels, float], of: Labels) -> dict[str, float]:
        """Return the values of a service's replicas, each by its pod if it has one, else by its address."""
        found: dict[str, float] = defaultdict(float)
        for labels, value in answer.items():
            if _only(labels, SERVICE) == of:
                found[_replica(labels)] += value
        return dict(found)

    def _began(self, asked: str, level: float, concerned: Callable[[Labels], bool]) -> float | None:
        """Return when a value last rose above a level, of the series concerned; None when it was above all the time."""
        step = self._window_s / _STEPS
        began: list[float] = []
        for labels, line in self._store.over(asked, self._then - self._window_s, self._until, step).items():
            if concerned(labels):
                before = [(self._then, 0.0)] if line and line[0][0] > self._then else []  # it was not there
                began += [at for (_, low), (at, high) in itertools.pairwise(before + line) if low <= level < high]
        return max(began, default=None)


def _more(finding: Finding, name: str) -> float:
    """Return by how many seconds a part grew; 0 when it grew by less than half of what it was."""
    now, before = finding.now[name], finding.before.get(name)
    return now - before if before is not None and now > _GREW * before else 0.0


def _growth(finding: Finding) -> float:
    return max((_more(finding, name) for name in finding.now), default=0.0)


def _outliers(values: Mapping[str, float]) -> list[str]:
    """Return the replicas whose value is more than twice the median of the others."""
    return [
        name
        for name, value in values.items()
        if (others := [other for key, other in values.items() if key != name])
        and value > _OUTLIER * max(statistics.median(others), 1e-3)
    ]


def _replica(labels: Labels) -> str:
    """Return the pod, where one is known, else the address."""
    known = dict(labels)
    return next((known[name] for name in reversed(REPLICA) if name in known), "")


def _only(labels: Labels, names: Iterable[str]) -> Labels:
    wanted = set(names)
    return tuple((name, value) for name, value in labels if name in wanted)


def _matching(labels: Labels, *names: str) -> str:
    known = dict(labels)
    return "{" + ", ".join(f'{name}="{known[name]}"' for name in names if name in known) + "}"

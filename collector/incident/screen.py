"""The answer as text that fits on one screen."""

import time
from collections.abc import Iterator, Sequence
from typing import Final

from otel_llm import conventions
from otel_llm_collector.incident.findings import Finding, wrong
from otel_llm_collector.rule_sources.dimensions import MODEL
from otel_llm_collector.vocabulary.prometheus_names import label_name

__all__ = ["lines"]

_SAID: Final = {
    "down": "a replica does not answer",
    "errors": "requests fail",
    "cache": "the key-value cache is full, and requests wait for it",
    "queue": "requests wait",
    "prefill": "the prefill takes longer",
    "decode": "the decode takes longer",
    "gap": "the gaps between tokens are longer",
    "first token": "first tokens are late",
}
_RUNBOOKS: Final = {
    "down": "OtelLlmScrapeMissing",
    "errors": "OtelLlmErrors",
    "cache": "OtelLlmCacheFull",
    "queue": "OtelLlmSaturated",
    "prefill": "OtelLlmFirstTokenBurnFast",
    "first token": "OtelLlmFirstTokenBurnFast",
    "decode": "OtelLlmInterTokenLatencyBurnFast",
    "gap": "OtelLlmInterTokenLatencyBurnFast",
}
_SHOWN: Final = 8


def lines(
    findings: Sequence[Finding], until: float, since_s: float, runbooks: str, trace: tuple[float, str] | None
) -> Iterator[str]:
    """Yield the lines. trace: the latest first token that has one, s, and its id."""
    bad = wrong(findings)
    if not findings:
        yield "nothing known: no series of engines, gateways or applications in this time"
        return
    if not bad:
        yield f"nothing stands out in the last {_span(since_s)}"
    for finding in bad[:_SHOWN]:
        yield from _one(finding, until, since_s, runbooks)
    if len(bad) > _SHOWN:
        yield f"and {len(bad) - _SHOWN} more"
    if trace and bad:
        yield f"one trace: {trace[1]} (first token after {trace[0]:.3g} s)"
    if well := [finding for finding in findings if not finding.cause]:
        yield f"nothing stands out at: {'; '.join(map(_name, well[:_SHOWN]))}" + (", ..." if well[_SHOWN:] else "")


def _one(finding: Finding, until: float, since_s: float, runbooks: str) -> Iterator[str]:
    began = (
        f"since {time.strftime('%H:%M:%S', time.localtime(finding.since))}, {_span(until - finding.since)} ago"
        if finding.since
        else f"for longer than {_span(since_s)}, or always"
    )
    yield f"{_name(finding)}: {_SAID[finding.cause]}, {began}"
    if finding.replicas:
        yield f"  replica   {', '.join(finding.replicas)}"
    elif finding.alike:
        yield f"  replica   all {finding.alike} alike"
    times = (f"{name} {_seconds(finding.before.get(name))} → {_seconds(now)}" for name, now in finding.now.items())
    if finding.now:
        yield f"  mean      {', '.join(times)}"
    if finding.longer:
        yield f"  longer    {', '.join(f'{what} {times:.1f} times' for what, times in finding.longer.items())}"
    if full := {name: share for name, share in finding.caches.items() if share > 0.8}:
        yield f"  cache     {', '.join(f'{share:.0%} of {name}' for name, share in full.items())}"
    if finding.errors:
        worst = sorted(finding.errors.items(), key=lambda each: -each[1])[:3]
        yield f"  failures  {finding.failed:.1%}: {', '.join(f'{name} {rate:.3g}/s' for name, rate in worst)}"
    yield f"  runbook   {runbooks}{_RUNBOOKS[finding.cause]}.md"


def _name(finding: Finding) -> str:
    known = dict(finding.service)
    engine = known.get(label_name(conventions.ENGINE), "")
    places = [known[name] for name in map(label_name, (conventions.CLUSTER, conventions.NAMESPACE)) if name in known]
    where = ", ".join((f"job {known.get('job', '?')}", *places))
    return f"{known.get(MODEL, 'no model')}{f' on {engine}' if engine else ''} ({where})"


def _seconds(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g} s"


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"

"""How much of a request is prefill and how much decode, by how its time grows with its lengths.

Of the requests at one load, a line is fitted to the time to the first token over the tokens of the prompt, and one to
the time after it over the other tokens of the answer. What grows with the prompt is prefill, what grows with the answer
decode. The rest is what every request pays whatever its length: network, scheduling, the first step. Longer requests
scatter more, so each counts by how long it is expected to take, and errors allow for what is left of that
(J. G. MacKinnon and H. White, J. Econometrics 29, 1985: HC3).
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from otel_llm.load.study.loads import Load, Loop
from otel_llm.measures import Floats

__all__ = ["phases_lines", "phases_of"]

_Z: Final = 1.96
_FEWEST: Final = 40
_LEAST: Final = 0.2
"""Of the mean: no request is expected to take less, so that none counts for too much."""
_NOTHING: Final = 0.001
"""Of a latency: a smaller share is none."""
_VARIED: Final = 0.1
"""Of the mean: where lengths are closer to each other than that, lines have nothing to go by."""


def phases_of(load: float, requests: Floats) -> dict[str, Any]:
    """Return what a sweep knows of prefill and decode at its lowest load.

    requests: of those that succeeded there, prompt tokens, output tokens, time to first token, latency: float64[n, 4]
    `prefill` and `decode` have `per_token`, seconds, its `ci95`, and the `share` of a mean latency; each has `refused`,
    and why, where it cannot be told.
    """
    prompt, output, first, latency = requests.T
    mean = float(latency.mean()) if len(latency) else math.nan
    return {
        "load": load,
        "prefill": _slope(prompt, first, mean, "prompts"),
        "decode": _slope(output - 1, latency - first, mean, "answers"),
    }


def phases_lines(phases: Mapping[str, Any] | None, loop: Loop) -> list[str]:
    """Return it in words: a line, or none where neither can be told."""
    if phases is None:
        return []
    parts = [
        f"{phases[name]['share']:.0%} {name} ({_unit(phases[name])} {token} token)"
        for name, token in (("prefill", "a prompt"), ("decode", "an output"))
        if phases[name]["refused"] is None
    ]
    return [f"of a request at {Load(loop, phases['load'])}: {', '.join(parts)}"] if parts else []


def _unit(found: Mapping[str, Any]) -> str:
    low, high = (end * 1e3 for end in found["ci95"])
    return f"{found['per_token'] * 1e3:.3g} ms, 95 % {low:.3g} to {high:.3g},"


def _slope(tokens: Floats, seconds: Floats, mean_latency: float, what: str) -> dict[str, Any]:
    """Return by how much a time grows with each token, and how much of a latency that is."""
    if len(tokens) < _FEWEST:
        return _refused(f"at least {_FEWEST} requests are needed")
    if tokens.std() <= _VARIED * tokens.mean():
        return _refused(f"{what} are of nearly the same length")
    slope, error = _line(tokens, seconds, np.ones_like(seconds))
    expected = seconds.mean() + slope * (tokens - tokens.mean())
    slope, error = _line(tokens, seconds, 1 / np.maximum(expected, _LEAST * seconds.mean()) ** 2)
    low, high = slope - _Z * error, slope + _Z * error
    if low * tokens.mean() <= _NOTHING * mean_latency:
        return _refused(f"longer {what} did not take longer")
    share = slope * float(tokens.mean()) / mean_latency
    return {"per_token": slope, "ci95": [low, high], "share": share, "refused": None}


def _line(tokens: Floats, seconds: Floats, weights: Floats) -> tuple[float, float]:
    """Return the slope of a weighted line, and its standard error."""
    off = tokens - np.average(tokens, weights=weights)
    squares = float(weights @ off**2)
    slope = float((weights * off) @ seconds) / squares
    leverage = weights / weights.sum() + weights * off**2 / squares
    left = weights * off * (seconds - np.average(seconds, weights=weights) - slope * off) / (1 - leverage)
    return slope, math.sqrt(float(left @ left)) / squares


def _refused(why: str) -> dict[str, Any]:
    return {"refused": why}

"""What Grafana does to a query before Prometheus sees it: variables are filled in.

After its Prometheus data source: a choice of several becomes a regular expression, its values escaped; a custom value
of "All" goes in as it is; what is the only choice there can be is escaped as text only.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)(?:\.[^:}]+)?(?::([^}]+))?\}|\[\[(\w+)\]\]")
_SPECIAL = re.compile(r"[$^*{}\[\]'+?.()|]")
SCRAPE_S = 15
"""What a data source takes as the interval of scrapes when nothing else is set."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a variable stands at. `several`: it may be more than one, so that it is meant as a regular expression."""

    values: Sequence[str]
    several: bool = False
    all_value: str = ""  # what "All" is, when the board says so


def built_in(range_s: int, step_s: int) -> dict[str, str]:
    """The variables of every board, for a range of time and the step between two points of a panel."""
    rate_s = max(step_s + SCRAPE_S, 4 * SCRAPE_S)
    return {
        "__interval": f"{step_s}s",
        "__interval_ms": str(step_s * 1000),
        "__rate_interval": f"{rate_s}s",
        "__rate_interval_ms": str(rate_s * 1000),
        "__range": f"{range_s}s",
        "__range_s": str(range_s),
        "__range_ms": str(range_s * 1000),
    }


def interpolate(text: str, chosen: Mapping[str, Chosen], given: Mapping[str, str]) -> str:
    """Fill in `text`; KeyError for a variable that the board does not have."""

    def fill(found: re.Match[str]) -> str:
        name, form = found[1] or found[2] or found[4], found[3]
        if name in given:
            return given[name]
        return _formatted(chosen[name], form)

    return _VARIABLE.sub(fill, text)


def _formatted(chosen: Chosen, form: str | None) -> str:
    if chosen.all_value:
        return chosen.all_value
    if form is None:
        return _as_promql(chosen)
    if form in ("raw", "text", "csv"):
        return ",".join(chosen.values)
    if form == "pipe":
        return "|".join(chosen.values)
    if form == "regex":
        escaped = [re.sub(r"([/\\^$*+?.()|\[\]{}])", r"\\\1", value) for value in chosen.values]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
    raise ValueError(f"no such format of a variable here: {form}")


def _as_promql(chosen: Chosen) -> str:
    if not chosen.several:
        return "".join(chosen.values).replace("\\", "\\\\").replace('"', '\\"')
    escaped = [
        _SPECIAL.sub(lambda found: "\\\\" + found[0], value.replace("\\", "\\\\\\\\")) for value in chosen.values
    ]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"

"""Every metric that a release of an engine declares, and what becomes of it: mapped, passed on, or left out and why.

One file for each engine, `declared/NAME.toml`. The tables say what becomes
of a metric; the file says why what no table lists is left out.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Final

from otel_llm.errors import ConfigError
from otel_llm_collector.engine_tables.table import EngineTable, engine_tables
from otel_llm_collector.yaml_text import header

__all__ = ["Declared", "declared_metrics", "declared_page", "fate"]


@dataclass(frozen=True, slots=True)
class Declared:
    """What one release declares."""

    table: EngineTable
    version: str
    source: str
    names: tuple[str, ...]
    left_out: Mapping[str, tuple[str, ...]]
    """Reason → patterns of names, as in a shell."""

    def reasons(self, name: str) -> list[str]:
        """Return why a metric is left out; a file that is right has one reason for each that no table lists."""
        return [why for why, patterns in self.left_out.items() if any(fnmatchcase(name, each) for each in patterns)]


def declared_metrics() -> Iterator[Declared]:
    """Yield what is known of each engine that has a file, in the order of their names."""
    folder = files("otel_llm_collector").joinpath("declared")
    for table in engine_tables():
        file = folder.joinpath(f"{table.name}.toml")
        if file.is_file():
            try:
                raw = tomllib.loads(file.read_text("utf-8"))
                left_out = {why: tuple(patterns) for why, patterns in raw["left_out"].items()}
                found = Declared(table, raw["version"], raw["source"], tuple(raw["names"]), left_out)
            except (tomllib.TOMLDecodeError, KeyError, AttributeError) as error:
                raise ConfigError(
                    f"declared/{file.name} to have version, source, names and [left_out]", error,
                    "compare it with declared/tei.toml",
                ) from error  # fmt: skip
            yield found


def fate(declared: Declared, name: str) -> str:
    """Return what becomes of a metric, in words."""
    for metric in declared.table.metrics:
        if metric.name == name:
            if metric.to:
                return f"`{metric.target}`"
            return "passes as it is" if metric.passed else f"left out: {metric.cannot}"
    return f"left out: {'; '.join(declared.reasons(name))}"


_ABOUT: Final = """# Every metric of a release, and what becomes of it
Mapped to a common name, passed on under its own, or left out and why. [engines.md](engines.md) says more of those \
that are mapped. The lists are of all that a release declares, whether or not a server of yours shows it: much comes \
only with an option. Beside them, most pages have what the client library tells of its process (`process_*`, \
`python_*`, `go_*`), which is left out.

What is left out stays on the engine's own page. An entry with `passed = true` in the engine's table makes the \
Collector keep it."""


def declared_page() -> str:
    """Return docs/declared.md."""
    comment = header("collector/declared and collector/engines").removeprefix("# ").strip()
    return "\n".join(
        (f"<!-- {comment} -->", _ABOUT, *(line for each in declared_metrics() for line in _section(each)), "")
    )


def _section(declared: Declared) -> Iterator[str]:
    listed = {metric.name: metric for metric in declared.table.metrics}
    mapped = sum(name in listed and bool(listed[name].to) for name in declared.names)
    passed = sum(name in listed and listed[name].passed for name in declared.names)
    yield ""
    yield f"## {declared.table.title}"
    left = len(declared.names) - mapped - passed
    yield (
        f"{declared.version}, {declared.source}: {len(declared.names)} metrics, of which {mapped} are mapped, {passed} "
        f"passed on and {left} left out."
    )
    yield ""
    yield "| metric | becomes |"
    yield "|---|---|"
    yield from (f"| `{name}` | {fate(declared, name)} |" for name in declared.names)

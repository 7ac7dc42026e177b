"""What an engine exposes at /metrics: one TOML file per engine, read into one `EngineTable`."""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final, Literal, cast, get_args

from otel_llm import conventions
from otel_llm.errors import ConfigError

__all__ = [
    "ATTRIBUTES",
    "BucketProfile",
    "EngineTable",
    "Metric",
    "engine_tables",
    "find_engine_table",
    "read_file",
    "read_table",
]

Type = Literal["histogram", "counter", "gauge", "summary"]
Vantage = Literal["engine", "frontend", "gateway", "device"]

ATTRIBUTES: Final[Mapping[str, str]] = {
    "model": conventions.REQUEST_MODEL,
    "provider": conventions.PROVIDER_NAME,
    "response_model": conventions.RESPONSE_MODEL,
    "rank": conventions.ENGINE_RANK,
    "role": conventions.ENGINE_ROLE,
    "cache_source": conventions.CACHE_SOURCE,
    "finish_reason": conventions.FINISH_REASON,
    "error": conventions.ERROR_TYPE,
    "gpu": conventions.GPU_ID,
    "gpu_model": conventions.HARDWARE_MODEL,
    "hardware": conventions.HARDWARE_TYPE,
}
"""What a label of an engine can become. A label that its table does not name is dropped, and its series added up.

Where a table has `response_model` (a gateway's alias leads to another model), it stands in for a `model` that is empty.
"""

_TO_BASE: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "mJ": 1e-3, "MiB": 1024.0**2, "percent": 1e-2}


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of an engine. Either `to` names an instrument of `conventions`, or `cannot` says why none will do."""

    name: str
    type: Type
    to: str = ""
    cannot: str = ""
    passed: bool = False  # kept under its own name, for those who know it
    unit: str = ""  # the engine's own; empty: the same as the instrument's
    buckets: str = ""  # a name in `EngineTable.buckets`; only lengths may go without, whose edges follow the model
    only: Mapping[str, str] = field(default_factory=dict)  # label → pattern of the series to keep; absent is empty
    error_when: Mapping[str, str] = field(default_factory=dict)  # label → pattern of the values that are an error.type
    error: str = ""  # the error.type of all its series that have none from a label
    apart: bool = False  # prompt tokens from the cache that are not among those of `server_prompt_tokens`
    optional: str = ""  # why a /metrics page may lack it
    note: str = ""

    @property
    def scale(self) -> float:
        """The factor that brings its values to the instrument's unit."""
        return _TO_BASE.get(self.unit, 1.0)

    @property
    def instrument(self) -> conventions.Instrument:
        """The instrument of `conventions` that it becomes."""
        return conventions.instrument(self.to)

    @property
    def target(self) -> str:
        """The name it gets: that of the published conventions."""
        return cast("str", self.instrument.v1_41)


@dataclass(frozen=True, slots=True)
class BucketProfile:
    """How an operator sets an engine's bucket edges."""

    form: Literal["json", "words", "yaml"]
    since: str
    option: str = ""  # the one option or setting; empty: each measure has its own, in `keys`
    keys: Mapping[str, str] = field(default_factory=dict)  # instrument → what the engine calls it there


@dataclass(frozen=True, slots=True)
class EngineTable:
    """One engine: where it exposes metrics, which ones, and how an operator can change their bucket edges."""

    name: str
    title: str
    vantage: Vantage
    port: int
    path: str
    enable: str
    versions: tuple[str, ...]
    source: str
    gives: str
    labels: Mapping[str, str]
    says: Mapping[str, str]  # what all its series are, by keys of ATTRIBUTES
    copies: tuple[str, ...]  # labels whose values all tell the same, as ranks do that work on one request together
    buckets: Mapping[str, Mapping[str, tuple[float, ...]]]  # by name, then by the engine's version, newest first
    metrics: tuple[Metric, ...]
    profile: BucketProfile | None

    def edges(self, metric: Metric) -> tuple[float, ...]:
        """Return the upper edges of a metric's buckets in seconds, without +Inf; empty when no buckets are listed.

        Of several versions of the engine, those of the newest.
        """
        return next(iter(self.edges_by_version(metric).values()), ())

    def edges_by_version(self, metric: Metric) -> Mapping[str, tuple[float, ...]]:
        """Return the edges that a metric has in each listed version of the engine, newest first."""
        listed = self.buckets.get(metric.buckets, {})
        return {version: tuple(edge * metric.scale for edge in edges) for version, edges in listed.items()}


def find_engine_table(name: str) -> EngineTable:
    """Return the table of an engine; ConfigError when there is none of that name."""
    known = {table.name: table for table in engine_tables()}
    if name not in known:
        raise ConfigError(f"an engine of {', '.join(known)}", name, "see docs/collector.md on how to add one")
    return known[name]


@functools.cache
def engine_tables() -> tuple[EngineTable, ...]:
    """Return all tables, in the order of their names."""
    found = sorted(files("otel_llm_collector").joinpath("engines").iterdir(), key=lambda file: file.name)
    return tuple(read_file(file) for file in found if file.name.endswith(".toml"))


def read_file(file: Traversable) -> EngineTable:
    """Return the table in a TOML file, which bears its name; ConfigError as of `read_table`."""
    table = read_table(file.read_text("utf-8"), file.name)
    if file.name != f"{table.name}.toml":
        raise ConfigError(f"{file.name}: the file's name as `name`", table.name, f'name = "{file.name[:-5]}"')
    return table


def read_table(text: str, where: str = "the table") -> EngineTable:
    """Return the table in a TOML text; ConfigError when a field is missing, unknown or meaningless."""
    try:
        raw = tomllib.loads(text)
        if like := raw.pop("like", None):
            other = _renamed(**like)
            raw = {**other, **raw, "metric": [*other["metric"], *raw.get("metric", ())]}
        table = EngineTable(
            metrics=tuple(Metric(**entry) for entry in raw.pop("metric", ())),
            labels=raw.pop("labels", {}),
            says=raw.pop("says", {}),
            copies=tuple(raw.pop("copies", ())),
            buckets={name: _versions(edges, raw) for name, edges in raw.pop("buckets", {}).items()},
            profile=BucketProfile(**raw.pop("profile")) if "profile" in raw else None,
            versions=tuple(raw.pop("versions")),
            **raw,
        )
    except (tomllib.TOMLDecodeError, TypeError, KeyError) as error:
        raise ConfigError(f"{where} to be an engine table", error, "compare it with engines/vllm.toml") from error
    _check(table, where)
    return table


def _renamed(table: str, prefix: str, becomes: str) -> dict[str, Any]:
    """Return the metrics and edges of another table whose names begin so, under names that begin otherwise."""
    raw = tomllib.loads(files("otel_llm_collector").joinpath("engines", f"{table}.toml").read_text("utf-8"))
    listed = [metric for metric in raw["metric"] if metric["name"].startswith(prefix)]
    named = [{**metric, "name": becomes + metric["name"].removeprefix(prefix)} for metric in listed]
    return {"metric": named, "buckets": {name: _versions(edges, raw) for name, edges in raw["buckets"].items()}}


def _versions(edges: Any, raw: Mapping[str, Any]) -> Mapping[str, tuple[float, ...]]:
    """Return edges by version. A plain list is that of all the versions that the table is about."""
    listed = edges if isinstance(edges, dict) else {", ".join(raw["versions"]): edges}
    return {version: tuple(map(float, each)) for version, each in listed.items()}


def _check(table: EngineTable, where: str) -> None:
    """Raise ConfigError for values that parse and mean nothing."""
    if table.vantage not in get_args(Vantage):
        raise ConfigError(f"{where}: vantage out of {', '.join(get_args(Vantage))}", table.vantage)
    if not isinstance(table.port, int) or not 0 < table.port < 65536:
        raise ConfigError(f"{where}: port as a number of 1 to 65535", table.port)
    for name, versions in table.buckets.items():
        for edges in versions.values():
            if list(edges) != sorted(set(edges)):
                raise ConfigError(f"{where}: the edges {name} in rising order", list(edges))
    seen = set[str]()
    for metric in table.metrics:
        if metric.name in seen:
            raise ConfigError(f"{where}: each metric once", metric.name, "put what is said of it into one [[metric]]")
        seen.add(metric.name)
        _check_metric(metric, table, f"{where}: {metric.name}")
    if unknown := {*table.labels.values(), *table.says} - set(ATTRIBUTES):
        raise ConfigError(f"{where}: labels to become one of {', '.join(ATTRIBUTES)}", sorted(unknown))


def _check_metric(metric: Metric, table: EngineTable, where: str) -> None:
    """Raise ConfigError for a metric that cannot become what its table says."""
    ways = [name for name in ("to", "cannot", "passed") if getattr(metric, name)]
    if len(ways) != 1:
        raise ConfigError(f"{where} to have one of `to`, `cannot`, `passed`", ", ".join(ways) or None)
    if metric.type not in get_args(Type):
        raise ConfigError(f"{where} to be of type {', '.join(get_args(Type))}", metric.type)
    if metric.unit not in ("", *_TO_BASE):
        raise ConfigError(f"{where} to have a unit out of {', '.join(_TO_BASE)}, or none", metric.unit)
    if not metric.to:
        return
    known: Mapping[str, conventions.Instrument] = conventions.INSTRUMENTS
    if metric.to not in known or known[metric.to].v1_41 is None:
        near = get_close_matches(metric.to, known, 1, 0.7)
        hint = f"did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{where}: `to` as a key of INSTRUMENTS in otel_llm/conventions.py", metric.to, hint)
    kind = {"updowncounter": "gauge"}.get(known[metric.to].kind, known[metric.to].kind)
    if metric.type != kind:
        raise ConfigError(f"{where} to be a {kind}, as {metric.to} is", metric.type, "choose another `to`, or `cannot`")
    if metric.type == "histogram" and metric.buckets not in table.buckets:
        if metric.buckets:
            raise ConfigError(f"{where}: buckets out of {', '.join(table.buckets)}", metric.buckets)
        if known[metric.to].unit != "{token}":  # the edges of lengths follow the model
            raise ConfigError(f"{where} to name its `buckets`", next_step="list the edges in [buckets]")

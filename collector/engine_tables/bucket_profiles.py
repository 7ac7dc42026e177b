"""Bucket profiles: an engine's own options that give it the same edges as every other engine and our client.

With one set of edges everywhere `_bucket` series can be added up after all, and the first edge is low enough to tell
most latencies of an engine apart.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from otel_llm import conventions
from otel_llm.errors import ConfigError
from otel_llm_collector.engine_tables.table import BucketProfile, EngineTable

__all__ = ["ALIGNED_EDGES", "bucket_options"]

ALIGNED_EDGES: Final = conventions.FINE_SECONDS
"""The edges that all get, in seconds: 0.1 ms to 6500 s, so that no engine loses the long ones it had."""


def bucket_options(table: EngineTable) -> str:
    """Return what an operator adds to the engine's command line or configuration; ConfigError when it has none."""
    if table.profile is None:
        raise ConfigError(
            "an engine whose bucket edges can be set freely",
            table.name,
            "the union rules put its histogram together with others as it is",
        )
    return {"json": _json, "words": _words, "yaml": _yaml}[table.profile.form](table.profile, ALIGNED_EDGES)


def _json(profile: BucketProfile, edges: Sequence[float]) -> str:
    entries: Mapping[str, Sequence[float]] = dict.fromkeys(profile.keys.values(), edges)
    return f"{profile.option} '{json.dumps(entries, separators=(',', ':'))}'"


def _words(profile: BucketProfile, edges: Sequence[float]) -> str:
    shown = " ".join(f"{edge:g}" for edge in edges)
    return " \\\n".join(f"{option} {shown}" for option in profile.keys.values())


def _yaml(profile: BucketProfile, edges: Sequence[float]) -> str:
    section, setting = profile.option.split(".")
    return f"{section}:\n  {setting}: [{', '.join(f'{edge:g}' for edge in edges)}]"

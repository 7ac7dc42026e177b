"""Bucket profiles: the engine's own options that give it the same edges as every other engine and our client.

With one set of edges everywhere, adding up `_bucket` series is right again, and the first edge is no longer above
what the engine does in most cases.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from otel_llm import conventions
from otel_llm.errors import ConfigError
from otel_llm_collector.table import Engine, Profile

__all__ = ["ALIGNED", "flags"]

ALIGNED: Final = conventions.FINE_SECONDS
"""The edges of all, in seconds: 0.1 ms to 65 s."""


def flags(engine: Engine) -> str:
    """Return what the operator adds to the engine's command line or configuration."""
    if engine.profile is None:
        raise ConfigError(
            "an engine whose bucket edges can be set freely",
            engine.name,
            "the union rules put its histogram together with others as it is",
        )
    return {"json": _json, "words": _words, "yaml": _yaml}[engine.profile.form](engine.profile, ALIGNED)


def _json(profile: Profile, edges: Sequence[float]) -> str:
    entries: Mapping[str, Sequence[float]] = dict.fromkeys(profile.keys.values(), edges)
    return f"{profile.option} '{json.dumps(entries, separators=(',', ':'))}'"


def _words(profile: Profile, edges: Sequence[float]) -> str:
    shown = " ".join(f"{edge:g}" for edge in edges)
    return " \\\n".join(f"{option} {shown}" for option in profile.keys.values())


def _yaml(profile: Profile, edges: Sequence[float]) -> str:
    section, setting = profile.option.split(".")
    return f"{section}:\n  {setting}: [{', '.join(f'{edge:g}' for edge in edges)}]"

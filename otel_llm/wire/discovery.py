"""Finding a protocol: by its name, or by the path of a URL."""

from difflib import get_close_matches
from fnmatch import fnmatchcase
from importlib.metadata import EntryPoint
from typing import Any, Final

from otel_llm import entry_points
from otel_llm.errors import ConfigError, PluginError
from otel_llm.wire.protocol import Protocol

__all__ = ["PROTOCOLS", "check_contract", "describe_protocol", "load_protocol", "protocol_for_path", "protocols"]

PROTOCOLS: Final = "otel_llm.protocols"


def protocols() -> dict[str, EntryPoint]:
    """Return the entry points of the protocols that are installed, by name, in alphabetical order."""
    return entry_points.installed(PROTOCOLS)


def load_protocol(name: str) -> type[Protocol]:
    """Return the protocol of that name. Raises ConfigError when there is none, PluginError when it cannot be used."""
    points = protocols()
    if name not in points:
        near = get_close_matches(name, points, 1, 0.7)
        next_step = f"did you mean {near[0]}?" if near else "see what is installed: `otel-llm plugins`"
        raise ConfigError(f"a protocol out of {', '.join(points)}, or the name of a file", name, next_step)
    return _load(points[name])


def protocol_for_path(path: str, otherwise: type[Protocol] | None = None) -> type[Protocol]:
    """Return the protocol that serves a URL path: the one whose ending in `paths` is the longest match.

    When none does, return `otherwise`; without that raise ConfigError.
    """
    best: tuple[int, type[Protocol]] | None = None
    for point in protocols().values():
        try:
            protocol = _load(point)
        except PluginError:
            continue  # a broken plugin matters to whoever names it, and `otel-llm plugins` reports it
        length = max((len(end) for end in protocol.paths if fnmatchcase(path.rstrip("/"), f"*{end}")), default=0)
        if length and (best is None or length > best[0]):
            best = length, protocol
    if best is None and otherwise is not None:
        return otherwise
    if best is None:
        raise ConfigError(
            "a URL whose path says the protocol, such as /v1/chat/completions", path, "name it with --protocol"
        )
    return best[1]


def describe_protocol(point: EntryPoint) -> str:
    """Return how an answer comes, and the paths a protocol is recognised by. Raises PluginError when it is broken."""
    protocol = _load(point)
    framed = protocol.framing if protocol.streams else "json"
    how = framed if "http" in protocol.carriers else " or ".join(protocol.carriers)
    return f"{how}, {', '.join(protocol.paths) or 'by name only'}"


def _load(point: EntryPoint) -> type[Protocol]:
    return check_contract(entry_points.load(point), f"plugin {point.name} ({point.value})")


def check_contract(plugin: Any, called: str) -> type[Protocol]:
    """Return a plugin that keeps the contract. Raises PluginError for any other."""
    for member in ("encode", "decode"):
        found = getattr(plugin, member, None)
        if getattr(found, "__func__", found) in (None, getattr(getattr(Protocol, member), "__func__", Protocol.decode)):
            raise PluginError(f"{called} to define {member}", plugin, "see otel_llm.wire.protocol.Protocol")
    if not (isinstance(plugin, type) and issubclass(plugin, Protocol)):
        raise PluginError(f"{called} to be a subclass of Protocol", plugin)
    return plugin

"""Protocols that come as a file after `--protocol`: a template, or Python with a class of one."""

import copyreg
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Final

from otel_llm.errors import ConfigError, PluginError
from otel_llm.wire.discovery import check_contract, load_protocol
from otel_llm.wire.protocol import Protocol

__all__ = ["find_protocol"]

_ENDINGS: Final = (".toml", ".py")


class _OfFile(type):
    """The type of a protocol that came from a file, so that one that is sent to another process is read there again."""

    file: str


def _sent(protocol: _OfFile) -> tuple[Any, ...]:
    return find_protocol, (protocol.file,)


copyreg.pickle(_OfFile, _sent)


def find_protocol(name: str) -> type[Protocol]:
    """Return the protocol that is installed by a name, or that a file of this name has.

    Raises ConfigError or PluginError for one that is not there or cannot be used.
    """
    return _of_file(name) if name.endswith(_ENDINGS) else load_protocol(name)


def _of_file(name: str) -> type[Protocol]:
    path = Path(name).expanduser().resolve()
    if path.suffix == ".toml":
        from otel_llm.wire.template import Template, read_template  # with its library, which nothing else needs

        return _OfFile(path.stem, (Template,), {"file": str(path), "__slots__": (), **read_template(path)})  # type: ignore[return-value]
    found = _class_in(path)
    return _OfFile(found.__name__, (found,), {"file": str(path), "__slots__": (), "name": found.name or path.stem})  # type: ignore[return-value]


def _class_in(path: Path) -> type[Protocol]:
    """Return the one class of a protocol that a file of Python defines."""
    if not path.is_file():
        raise ConfigError("a file after --protocol", str(path), "check its path")
    spec = spec_from_file_location(f"otel_llm_protocol_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError("a Python file after --protocol", str(path), "give it a name that ends in .py")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise PluginError(f"{path} to import", error) from error
    found = [
        each for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Protocol) and each.__module__ == module.__name__
    ]  # fmt: skip
    if len(found) != 1:
        names = [each.__name__ for each in found]
        raise PluginError(
            f"one subclass of otel_llm.wire.protocol.Protocol in {path}", names, "docs/protocols.md shows one"
        )
    return check_contract(found[0], str(path))

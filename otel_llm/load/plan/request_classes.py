"""Classes of requests in one run, each with prompts, lengths, parameters and a model of its own: `--classes FILE.toml`.

The keys of a class are the options of the command line; one that a class lacks is that of the command line.
"""

import tomllib
from argparse import Namespace
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.load.plan.mixture import Mixture

__all__ = ["Classes", "read_classes"]

_NEXT: Final = "docs/workloads.md has each key"
_SOURCES: Final = ("prompt", "dataset", "input_tokens")
"""Where prompts come from: a class that has one of them takes none from the command line."""
_OF_SOURCES: Final = ("dataset_format", "shared_prefix")


class _Class(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One [[class]] of the file."""

    name: str
    weight: float = 1.0
    model: str | None = None
    prompt: str | None = None
    dataset: str | None = None
    dataset_format: str | None = None
    dataset_options: dict[str, str] = {}
    input_tokens: int | str | None = None
    output_tokens: int | str | None = None
    images: str | None = None
    audio: str | None = None
    video: str | None = None
    shared_prefix: dict[str, int | float | str] = {}
    parameters: dict[str, Any] = {}


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file."""

    classes: list[_Class] = msgspec.field(name="class")


class Classes(NamedTuple):
    """The classes of a run.

    weights: of each, above 0
    options: of each, in place of those of the command line
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    options: tuple[Mapping[str, Any], ...]

    def mixture(self, args: Namespace) -> Mixture:
        """Return what draws a class for each session. args: the options, with the model of classes that name none"""
        models = tuple(options.get("model", args.model) for options in self.options)
        return Mixture(self.names, self.weights, args.seed, models)

    @property
    def name_models(self) -> bool:
        """Whether any of them names its model."""
        return any("model" in options for options in self.options)

    @property
    def name_all_models(self) -> bool:
        """Whether each of them does, so that none is needed beside."""
        return all("model" in options for options in self.options)


def read_classes(args: Namespace) -> Classes:
    """Return the classes of the file of --classes. Raises ConfigError when it is none, or asks for what cannot be."""
    path = Path(args.classes).expanduser()
    try:
        file = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError("--classes FILE.toml with a [[class]] for each class", f"{path}: {error}", _NEXT) from None
    names = tuple(one.name for one in file.classes)
    if not names or len(set(names)) < len(names):
        got = f"{path}: {', '.join(names) or 'no class'}"
        raise ConfigError("--classes with a name for each class, used once", got)
    if odd := [one.name for one in file.classes if not 0 < one.weight < inf]:
        raise ConfigError("weights above 0", f"{path}: that of {odd[0]}")
    for given, option in ((args.trace, "--trace"), (args.parser, "--parser")):
        if given is not None:
            raise ConfigError(f"either --classes or {option}", "both", "each says what is asked")
    if args.number is None and args.duration is None:
        raise ConfigError("-n or --duration with --classes", next_step="say how many requests there are in all")
    options = tuple(_options(one, args, path.parent) for one in file.classes)
    return Classes(names, tuple(one.weight for one in file.classes), options)


def _options(one: _Class, args: Namespace, folder: Path) -> Mapping[str, Any]:
    said = {name: value for name, value in msgspec.structs.asdict(one).items() if value not in (None, {})}
    del said["name"], said["weight"]
    if sum(source in said for source in _SOURCES) > 1:
        raise ConfigError(f"class {one.name} to have one of prompt, dataset and input_tokens", "several")
    if any(source in said for source in _SOURCES):
        said = dict.fromkeys((*_SOURCES, *_OF_SOURCES)) | said
    for lengths in ("input_tokens", "output_tokens"):
        if isinstance(said.get(lengths), int):
            said[lengths] = str(said[lengths])
    if (dataset := said.get("dataset")) is not None and (beside := folder / dataset).exists():
        said["dataset"] = str(beside)
    for pairs in ("dataset_options", "shared_prefix"):
        if said.get(pairs):
            said[pairs] = [f"{key}={value}" for key, value in said[pairs].items()]
    if one.parameters:
        own = (f"{key}={msgspec.json.encode(value).decode()}" for key, value in one.parameters.items())
        said["parameters"] = [*args.parameters, *own]
    return said

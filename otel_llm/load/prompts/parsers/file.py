"""A parser from a user's file: `--parser my_parser.py` with a class `PerfPlugin`, as `llmuses perf` loaded it.

While the file is loaded, and only then, `llmuses.perf.llm_parser_base` is our module, so that files written for the
original run unchanged. Whatever is wrong with a file is reported before any request is sent.
"""

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from otel_llm.errors import ConfigError, PluginError
from otel_llm.load.prompts.parsers.base import PerfPluginBase
from otel_llm.load.prompts.parsers.source import Source

__all__ = ["FileParser"]

_METHODS: Final = ("build_request", "parse_responses")
_ARGUMENTS: Final = frozenset(("model", "prompt", "dataset", "max_length", "min_length"))
_NEXT: Final = "docs/parsers.md shows a complete file"


class FileParser:
    """The `PerfPlugin` of one file, for one run.

    Raises ConfigError when there is no such file; PluginError when it does not import, has no class `PerfPlugin`, the
    class lacks a method, or it cannot be constructed with the tokenizer path or without arguments.
    """

    def __init__(self, path: Path, source: Source, tokenizer_path: str | None = None) -> None:
        if taken := sorted(_ARGUMENTS & set(source.parameters)):
            raise ConfigError("--parameters besides the arguments of build_request", taken, "use the option itself")
        self._path, self._source = path, source
        self._plugin = _construct(path, _class_of(path), tokenizer_path)

    def bodies(self) -> Iterator[dict[str, Any]]:
        """Yield the bodies of one pass. Raises PluginError when the file raises or yields anything but dicts."""
        source = self._source
        try:
            requests = self._plugin.build_request(
                model=source.model,
                prompt=source.prompt,
                dataset=source.dataset,
                max_length=source.max_length,
                min_length=source.min_length,
                **source.parameters,
            )
            for body in requests:
                if not isinstance(body, Mapping):
                    raise TypeError(f"build_request yielded a {type(body).__name__}, not a dict")
                yield dict(body)
        except ConfigError:
            raise
        except Exception as error:
            raise PluginError(f"{self._path} to build requests", error) from error

    def tokens(self, events: Sequence[str], request: Mapping[str, Any]) -> tuple[int | None, int | None]:
        """Return what parse_responses returns. Raises PluginError when it raises or does not return two counts."""
        known = {"request": request, "parameters": dict(self._source.parameters)}
        try:
            given = _select_accepted(self._plugin.parse_responses, known)
            inputs, outputs = self._plugin.parse_responses(list(events), **given)
            return _check_count(inputs), _check_count(outputs)
        except Exception as error:
            raise PluginError(f"parse_responses of {self._path} to return two token counts", error) from error


def _class_of(path: Path) -> Any:
    """Return the class `PerfPlugin` of the file."""
    if not path.is_file():
        raise ConfigError("a file with a class PerfPlugin", str(path), "check the path after --parser")
    name = f"otel_llm_parser_{path.stem}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError("a Python file after --parser", str(path), "give it a name that ends in .py")
    module = module_from_spec(spec)
    with _lend({**_original_modules(), name: module}):
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise PluginError(f"{path} to import", error) from error
    plugin = getattr(module, "PerfPlugin", None)
    if not isinstance(plugin, type):
        names = [name for name in vars(module) if not name.startswith("_")]
        raise PluginError(f"a class named PerfPlugin in {path}", names, _NEXT)
    for method in _METHODS:
        if getattr(plugin, method, None) in (None, getattr(PerfPluginBase, method)):
            raise PluginError(f"PerfPlugin of {path} to define {method}", next_step=_NEXT)
    return plugin


def _construct(path: Path, plugin: Any, tokenizer_path: str | None) -> Any:
    """Return an instance, made with the tokenizer path if the class takes an argument."""
    try:
        signature = inspect.signature(plugin)
        try:
            arguments: tuple[str | None, ...] = signature.bind(tokenizer_path).args
        except TypeError:
            arguments = signature.bind().args
        return plugin(*arguments)
    except Exception as error:
        raise PluginError(f"PerfPlugin of {path} to take the tokenizer path or nothing", error, _NEXT) from error


def _select_accepted(function: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the items of `known` that the function accepts as keyword arguments."""
    taken = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
        return dict(known)
    return {name: value for name, value in known.items() if name in taken}


def _check_count(value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise TypeError(f"{value!r} is no number of tokens")
    return value


def _original_modules() -> dict[str, ModuleType]:
    """Return the modules from which such files import their base class."""
    package, perf, base = (ModuleType(n) for n in ("llmuses", "llmuses.perf", "llmuses.perf.llm_parser_base"))
    package.__path__, perf.__path__ = [], []
    package.perf, perf.llm_parser_base, base.PerfPluginBase = perf, base, PerfPluginBase  # type: ignore[attr-defined]
    return {module.__name__: module for module in (package, perf, base)}


@contextmanager
def _lend(modules: Mapping[str, ModuleType]) -> Iterator[None]:
    """Put the modules into `sys.modules` while entered, and restore what was there before."""
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module

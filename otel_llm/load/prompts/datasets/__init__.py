"""Datasets: functions that read prompts from a file, each in a module of its own, found by name.

A dataset is a function `prompts(path, seed, **options)` in the entry point group `otel_llm.datasets`. It yields the
prompts of the file once, each a text or a list of messages, and raises ConfigError with the file and the line.
`open_dataset` does the rest for all of them: lengths, cycling, and the sample that comes with the package.
"""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from otel_llm.entry_points import installed
from otel_llm.errors import ConfigError, PluginError
from otel_llm.load.prompts.cycle import take
from otel_llm.load.prompts.datasets.samples import sample

__all__ = ["DATASETS", "Dataset", "Message", "Prompt", "Prompts", "as_messages", "length", "open_dataset"]

DATASETS: Final = "otel_llm.datasets"

Message = Mapping[str, Any]
Prompt = str | Sequence[Message]
"""What a request asks: a text, or messages in the form [{"role": ..., "content": ...}, ...]."""

Prompts = Callable[..., Iterator[Prompt]]
"""`prompts(path, seed, **options)`: path is a pathlib.Path, None for a dataset without a file; options are text."""


def as_messages(prompt: Prompt) -> list[Message]:
    """Return the prompt as messages: a text becomes one user message.

    >>> as_messages("Why?")
    [{'role': 'user', 'content': 'Why?'}]
    """
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)


def length(prompt: Prompt) -> int:
    """Return the length in characters; for messages, the length of all their text."""
    if isinstance(prompt, str):
        return len(prompt)
    return sum(len(part) for message in prompt for part in _texts(message.get("content")))


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, Sequence):
        yield from (part["text"] for part in content if isinstance(part, Mapping) and isinstance(part.get("text"), str))


@dataclass(frozen=True, slots=True)
class Dataset:
    """An opened dataset. Iterating it is one pass over the prompts, the same at every pass.

    min_length, max_length: in characters, exclusive on both sides, as in `min_length < length < max_length`
    """

    name: str
    prompts: Prompts
    path: Path | None
    seed: int
    min_length: int
    max_length: int
    options: Mapping[str, str]

    def __iter__(self) -> Iterator[Prompt]:
        for prompt in self.prompts(self.path, self.seed, **self.options):
            if self.min_length < length(prompt) < self.max_length:
                yield prompt

    def take(self, number: int | None) -> Iterator[Prompt]:
        """Return `number` prompts, from the start again when there are fewer; with None, the prompts of one pass."""
        return take(self.__iter__, number)


def open_dataset(
    name: str,
    path: str | Path | None = None,
    *,
    seed: int = 0,
    min_length: int = 0,
    max_length: int = sys.maxsize,
    options: Mapping[str, str] | None = None,
) -> Dataset:
    """Return the dataset `name` of the file or folder at `path`; without a path, of the sample in the package, if any.

    Raises ConfigError when there is no such dataset, file or option, when the first prompt cannot be read, or when no
    prompt is within the lengths; PluginError when the dataset does not import.
    """
    prompts = _load(name)
    where = Path(path).expanduser() if path is not None else sample(name)
    _check_options(name, prompts, options or {})
    dataset = Dataset(name, prompts, where, seed, min_length, max_length, dict(options or {}))
    if next(iter(dataset), None) is None:
        raise _nothing_in(dataset)
    return dataset


def _nothing_in(dataset: Dataset) -> ConfigError:
    """Return what is wrong with a dataset that yields nothing: it is empty, or no prompt is within the lengths."""
    place = dataset.path or dataset.name
    if dataset.min_length == 0 and dataset.max_length == sys.maxsize:
        return ConfigError(f"prompts in {place}", "none", "give another file")
    upper = "" if dataset.max_length == sys.maxsize else f" and fewer than {dataset.max_length}"
    return ConfigError(
        f"prompts of more than {dataset.min_length}{upper} characters in {place}",
        next_step="widen --min-prompt-length and --max-prompt-length",
    )


def _load(name: str) -> Prompts:
    points = installed(DATASETS)
    if name not in points:
        raise ConfigError(f"a dataset out of {', '.join(points)}", name, "see what is installed: `otel-llm plugins`")
    try:
        prompts: Prompts = points[name].load()
    except Exception as error:
        raise PluginError(f"dataset {name} ({points[name].value}) to import", error) from error
    if not callable(prompts):
        raise PluginError(f"dataset {name} ({points[name].value}) to be a function prompts(path, seed)", prompts)
    return prompts


def _check_options(name: str, prompts: Prompts, options: Mapping[str, str]) -> None:
    taken = inspect.signature(prompts).parameters.values()
    known = [parameter.name for parameter in taken if parameter.kind is parameter.KEYWORD_ONLY]
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken)
    if unknown := [] if open_ended else sorted(set(options) - set(known)):
        raise ConfigError(f"options of dataset {name} out of ({', '.join(known)})", ", ".join(unknown))

"""A command that is about to be run from Python: its words, and the files for what it writes and prints."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from otel_llm.errors import ConfigError, OtelLLMError
from otel_llm.load.child.words import AddArguments, words_of
from otel_llm.load.plan.arguments import add_arguments

__all__ = ["Prepared", "prepare"]

_OURS: Final = ("json", "calibrate", "glossary")
_MISUSED: Final = 2


@dataclass(frozen=True, slots=True)
class Prepared:
    """The words of a command with the options that they were made of, and where it writes its report and prints."""

    words: list[str]
    options: Mapping[str, Any]
    json: Path
    out: IO[bytes]
    err: IO[bytes]

    @property
    def command(self) -> str:
        """The command, such as `perf`."""
        return self.words[0]

    @property
    def planned(self) -> int | None:
        """How many requests there will be at most, where the options say so."""
        number = self.options.get("number")
        return number if isinstance(number, int) and self.command == "perf" else None

    def report(self, code: int) -> dict[str, Any]:
        """Return what it reported. Raises ConfigError where it cannot be made, OtelLLMError where it left nothing."""
        if not self.json.exists():
            command = f"otel-llm {self.command}"
            said = _read(self.err).strip().splitlines()
            words = said[-1].removeprefix(f"{command}: ").removeprefix("expected ") if said else "a run"
            raise (ConfigError if code == _MISUSED else OtelLLMError)(words.removesuffix(f"; see {command} --help"))
        found: dict[str, Any] = msgspec.json.decode(self.json.read_bytes())
        return found

    @property
    def printed(self) -> str:
        """What it printed."""
        return _read(self.out)


@contextmanager
def prepare(command: str, options: Mapping[str, Any], add: AddArguments = add_arguments) -> Iterator[Prepared]:
    """Prepare a command. add: adds its options to a parser. Raises ConfigError for an option that there is not."""
    for name in _OURS:
        if name in options:
            raise ConfigError(
                f"an option of otel-llm {command} that it has from Python", name, "the result has `report`"
            )
    words = [command, *words_of(options, command, add)]
    with tempfile.TemporaryDirectory(prefix="otel-llm-") as folder:
        place = Path(folder) / "report.json"
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            yield Prepared([*words, f"--json={place}"], options, place, out, err)


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")

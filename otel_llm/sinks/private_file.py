"""New files that only their owner can read: what a run writes down may be confidential."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from otel_llm.errors import ConfigError

__all__ = ["PrivateFile", "replacing", "write_private"]


@dataclass(frozen=True, slots=True)
class PrivateFile:
    """A kind of file, and what to say when one cannot be created.

    what:     its name with an article, such as "a run file"
    exists:   the next step for a user whose path is taken
    unusable: the next step for a user whose path cannot be written to
    in_new_folder: whether a folder that is missing is made
    """

    what: str
    exists: str
    unusable: str
    in_new_folder: bool = False

    def check_new(self, path: Path) -> None:
        """Raises ConfigError when there is something at `path`."""
        try:
            there = path.exists()
        except OSError as error:  # a name that is too long
            raise self._unusable(error) from error
        if there:
            raise self._exists(path)

    def create(self, path: Path) -> None:
        """Create an empty file of mode 0600. Raises ConfigError when there is one, or it cannot be created."""
        try:
            if self.in_new_folder and not path.parent.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            raise self._exists(path) from None
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> ConfigError:
        return ConfigError(f"a folder to write the {self.what.removeprefix('a ')} in", error, self.unusable)

    def _exists(self, path: Path) -> ConfigError:
        return ConfigError(f"{self.what} that does not exist yet", str(path), self.exists)


def write_private(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 in place of any that is there, whole or not at all. Raises OSError."""
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file of mode 0600 that takes the place of any at `path`, once the block has ended well. Raises OSError."""
    if path.exists() and not path.is_file():  # a pipe, a terminal
        with path.open("wb") as file:
            yield file
        return
    number, name = tempfile.mkstemp(prefix=f".{path.name[:40]}-", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            yield file
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

"""Run files in an object store: put there when a run is over, fetched to be merged. `s3://`, `gs://`, … by fsspec."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from otel_llm.errors import ConfigError
from otel_llm.load.show.redact import redact_url

__all__ = ["ObjectStore", "fetched"]


class ObjectStore(NamedTuple):
    """A folder of an object store. url: `s3://bucket/folder` or another that fsspec knows"""

    url: str
    files: Any

    @classmethod
    def at(cls, url: str, name: str) -> "ObjectStore":
        """Return the store, once it has taken an empty object of this name. Raises ConfigError where it does not.

        So a wrong address, a missing right and a name that is taken are known before anything was measured.
        """
        store = cls(url, _files(url))
        try:
            address = store.address(name)
            taken = store.files.exists(address) and store.files.size(address)
            if not taken:
                store.files.pipe_file(address, b"")
        except Exception as error:  # each store has its own exceptions
            raise _unreachable(url, error) from error
        if taken:
            raise ConfigError("a new name in --store", redact_url(address), "give another --name")
        return store

    def address(self, name: str) -> str:
        """Return the URL of a run file of this name."""
        return f"{self.url.rstrip('/')}/{name}"

    def put(self, path: Path) -> str:
        """Copy a file into the store and return its URL. Raises ConfigError where that failed: the file stays."""
        address = self.address(path.name)
        try:
            self.files.put_file(str(path), address)
        except Exception as error:
            raise ConfigError(
                f"{redact_url(self.url)} to take the run file", error, f"it is still here: {path}"
            ) from error
        return address


def fetched(names: Iterable[str], folder: Path) -> list[Path]:
    """Return the paths of run files: of an object store's copies in `folder`, `*` resolved; others as they are.

    Raises ConfigError for a store that does not answer, or has none of that name.
    """
    found: list[Path] = []
    for name in names:
        found += _copies(name, folder) if "://" in name else [Path(name)]
    return found


def _copies(url: str, folder: Path) -> list[Path]:
    files = _files(url)
    try:
        matching = sorted(files.glob(url))
        paths = [folder / match.rsplit("/", 1)[-1] for match in matching]
        for match, path in zip(matching, paths, strict=True):
            files.get_file(match, str(path))
    except Exception as error:
        raise _unreachable(url, error) from error
    if not paths:
        raise ConfigError("run files in the store", f"none at {redact_url(url)}", "see what --store was given")
    return paths


def _files(url: str) -> Any:
    try:
        import fsspec  # those who give --store have it
    except ImportError as error:
        raise ConfigError(
            "the extra `store` for an object store", str(error), "pip install 'otel-llm[store]'"
        ) from error
    try:
        # a folder of this machine is made, as an object store has no need to
        return fsspec.core.url_to_fs(url, **({"auto_mkdir": True} if url.startswith("file:") else {}))[0]
    except (ImportError, ValueError) as error:
        raise _unreachable(url, error) from error


def _unreachable(url: str, error: Exception) -> ConfigError:
    return ConfigError(f"an object store at {redact_url(url)}", error, "see its address, and fsspec's package for it")

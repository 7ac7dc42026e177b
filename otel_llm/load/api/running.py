"""`otel_llm.load.run(...)`: `otel-llm perf` from Python, from a notebook or a test, also awaited."""

import asyncio
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from otel_llm.errors import ConfigError, OtelLLMError
from otel_llm.load.api.process import PERF, encoded, interrupt, start
from otel_llm.load.api.result import LoadRun
from otel_llm.load.api.words import words_of

__all__ = ["run", "run_async"]

_OURS: Final = ("json", "calibrate", "glossary")
_MISUSED: Final = 2


def run(*, progress: bool = False, **options: Any) -> LoadRun:
    """Run `otel-llm perf` and return what it measured. Its options are keywords: `run(url=…, model=…, parallel=16)`.

    An option's long name has `_` for `-`; lists and mappings are taken where it takes several, such as
    `slo={"ttft": "300ms"}` and `headers={"X-Tenant": "a"}`. The run has a process of its own, in this folder.

    progress: show the live display on standard error
    Raises ConfigError for what cannot be done, before anything is sent. Ctrl-C ends the run in order, then raises.
    """
    with _prepared(options) as prepared:
        process = start(prepared.words, prepared.out, None if progress else prepared.err)
        try:
            code = process.wait()
        except KeyboardInterrupt:
            interrupt(process)
            raise
        return prepared.result(code)


async def run_async(*, progress: bool = False, **options: Any) -> LoadRun:
    """Do what `run` does without blocking the loop. One that is cancelled ends its run in order first."""
    with _prepared(options) as prepared:
        err = None if progress else prepared.err
        process = await asyncio.create_subprocess_exec(*PERF, stdin=subprocess.PIPE, stdout=prepared.out, stderr=err)
        try:
            await process.communicate(encoded(prepared.words))
        except BaseException:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
                await asyncio.shield(process.wait())
            raise
        return prepared.result(await process.wait())


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A run that is about to be made: its words, and the files for what it prints."""

    words: list[str]
    options: Mapping[str, Any]
    json: Path
    out: IO[bytes]
    err: IO[bytes]

    def result(self, code: int) -> LoadRun:
        """Return the run. Raises ConfigError where it could not be made, OtelLLMError where it left nothing."""
        if not self.json.exists():
            said = _read(self.err).strip().splitlines()
            words = said[-1].removeprefix("otel-llm perf: ").removeprefix("expected ") if said else "a run"
            raise (ConfigError if code == _MISUSED else OtelLLMError)(words.removesuffix("; see otel-llm perf --help"))
        report = msgspec.json.decode(self.json.read_bytes())
        name = self.options.get("name")
        path = Path(name) if name is not None else Path(f"{report['run']['name']}.db")
        return LoadRun(report, path, code, _read(self.out))


@contextmanager
def _prepared(options: Mapping[str, Any]) -> Iterator[_Prepared]:
    for name in _OURS:
        if name in options:
            raise ConfigError("an option of otel-llm perf that a run has from Python", name, "the result has `report`")
    words = words_of(options)
    with tempfile.TemporaryDirectory(prefix="otel-llm-") as folder:
        place = Path(folder) / "report.json"
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            yield _Prepared([*words, f"--json={place}"], options, place, out, err)


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")

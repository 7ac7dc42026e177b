"""A prepared command is carried out in a process of its own, waited for or awaited, and shown as far as it has come."""

import asyncio
import signal
import sys
from contextlib import suppress
from subprocess import PIPE
from typing import IO

from otel_llm.load.api.prepared import Prepared
from otel_llm.load.api.progress import shown
from otel_llm.load.child.process import PROGRAM, encoded, interrupt, start

__all__ = ["carry_out", "carry_out_async"]


def carry_out(prepared: Prepared, *, progress: bool) -> int:
    """Carry out a command and return its exit code. Ctrl-C ends it in order, then raises."""
    process = start(prepared.words, prepared.out, _error_of(prepared, progress=progress))
    try:
        if process.stderr is not None:
            with shown(prepared.command, prepared.planned) as show:
                for line in process.stderr:
                    prepared.err.write(line)
                    show(line)
        return process.wait()
    except KeyboardInterrupt:
        interrupt(process)
        raise


async def carry_out_async(prepared: Prepared, *, progress: bool) -> int:
    """Do what `carry_out` does without blocking the loop. Being cancelled ends the command in order first."""
    err = _error_of(prepared, progress=progress)
    process = await asyncio.create_subprocess_exec(*PROGRAM, stdin=PIPE, stdout=prepared.out, stderr=err)
    try:
        await _tell(process, encoded(prepared.words))
        if process.stderr is not None:
            with shown(prepared.command, prepared.planned) as show:
                async for line in process.stderr:
                    prepared.err.write(line)
                    show(line)
        return await process.wait()
    except BaseException:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await asyncio.shield(_end_of(process))
        raise


async def _tell(process: asyncio.subprocess.Process, words: bytes) -> None:
    if process.stdin is not None:
        with suppress(BrokenPipeError, ConnectionResetError):  # of one that has died: its exit code says so
            process.stdin.write(words)
            await process.stdin.drain()
        process.stdin.close()


async def _end_of(process: asyncio.subprocess.Process) -> None:
    if process.stderr is not None:
        await process.stderr.read()  # a pipe that nobody reads would hold it up
    await process.wait()


def _error_of(prepared: Prepared, *, progress: bool) -> IO[bytes] | int | None:
    """Return where standard error goes: a run in a terminal draws there itself, elsewhere its lines move a bar."""
    if not progress:
        return prepared.err
    return None if prepared.command == "perf" and sys.stderr is not None and sys.stderr.isatty() else PIPE

"""A command of `otel-llm` in a process of its own, whatever threads, loops and locks there are in this one.

The command line goes through standard input: it may hold a key, and `ps` shows command lines to everyone.
"""

import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import IO, Final

import msgspec

__all__ = ["PROGRAM", "encoded", "interrupt", "start"]

_PROGRAM: Final = """
import json, os, signal, sys
from otel_llm.cli import main

words, parent = json.loads(sys.stdin.buffer.read()), os.getppid()

def watch(*_):
    if os.getppid() != parent:  # who was killed is started again, and two would load the server
        rest()
        os.kill(os.getpid(), signal.SIGTERM)

def rest():
    signal.setitimer(signal.ITIMER_REAL, 0)

signal.signal(signal.SIGALRM, watch)
signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
try:
    code = main(words)
finally:
    rest()  # while the interpreter ends, nobody handles a signal
sys.exit(code)
"""
PROGRAM: Final = (sys.executable, "-c", _PROGRAM)
"""The process: it reads its words from standard input, and ends when the process that started it has gone."""


def encoded(words: Iterable[str]) -> bytes:
    """Return what the process is to read."""
    return msgspec.json.encode(list(words))


def start(
    words: Iterable[str], out: "IO[bytes] | int", err: "IO[bytes] | int | None", keep: Sequence[int] = ()
) -> "subprocess.Popen[bytes]":
    """Start the process of a command, the first of the words.

    out, err: where what it prints goes; None: to our own standard error
    keep: descriptors that stay open in it
    """
    process = subprocess.Popen(PROGRAM, stdin=subprocess.PIPE, stdout=out, stderr=err, pass_fds=keep)
    if process.stdin is not None:
        with suppress(BrokenPipeError), process.stdin as stdin:  # of one that has died: its exit code says so
            stdin.write(encoded(words))
    return process


def interrupt(process: "subprocess.Popen[bytes]") -> None:
    """Ask the process for an orderly end, as Ctrl-C does, and wait for it."""
    process.send_signal(signal.SIGINT)
    if process.stderr is not None:
        process.stderr.read()  # a pipe that nobody reads would hold it up
    process.wait()

"""`otel-llm` in the process of the test: for words that start nothing, which take milliseconds here."""

import os
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess
from unittest import mock

from otel_llm.cli import main


def command(*words: str, folder: Path | None = None, columns: int = 100) -> "CompletedProcess[str]":
    """Run a command in a folder (default: this one); return its exit code and what it printed."""
    out, err = StringIO(), StringIO()
    environ = mock.patch.dict(os.environ, {"COLUMNS": str(columns)})
    with environ, chdir(folder or Path()), redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as end:  # of argparse
            code = int(end.code or 0)
    return CompletedProcess(words, code, out.getvalue(), err.getvalue())

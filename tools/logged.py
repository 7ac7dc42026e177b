"""Commands that build or install something for minutes: what they say goes to a file, the end of it to the reader."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from tools.errors import ToolsError

TIMEOUT_S = 2400.0
LOG_LINES = 15


def run(
    command: list[str], output: int, log: Path, next_step: str, *,
    cwd: Path | None = None, env: Mapping[str, str] | None = None, named: slice = slice(1, 4),
    reader: TextIO | None = None,
) -> None:  # fmt: skip
    """Run a command whose output goes to the open file `output`, which is that of `log`.

    named:  the words of it that the message names
    reader: who is shown the end of the output; None: standard error
    Raises ToolsError when it fails or takes too long, after the end of its output was printed.
    """
    try:
        subprocess.run(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        print(
            "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:]), file=reader or sys.stderr, flush=True
        )
        raise ToolsError(
            f"`{' '.join(command[named])}` to succeed within {TIMEOUT_S:.0f} s",
            f"{type(error).__name__} (the end of its output is above, all of it in {log})",
            next_step,
        ) from error

"""One point of a study: an ordinary run of `otel-llm perf` at one load, added to the study's file."""

import shlex
import subprocess
import urllib.request
from collections.abc import Iterable, Mapping
from threading import Event
from typing import Any, Final

from otel_llm.errors import ConfigError, OtelLLMError
from otel_llm.load.child.process import interrupt, start
from otel_llm.load.child.words import words_of
from otel_llm.load.study.point import Point
from otel_llm.load.study.study_file import StudyFile

__all__ = ["Interrupted", "between", "run_point"]

_SELDOM: Final = 1 << 40
_PATIENCE_S: Final = 60
_MISUSED: Final = 2


class Interrupted(Exception):  # noqa: N818  # not an error
    """A person asked for the end."""


def run_point(study: StudyFile, point: Point, options: Mapping[str, Any], more: Iterable[str] = ()) -> dict[str, Any]:
    """Run a point, note it, and return its report. more: words of its own

    Repeats of a load differ in the seed. Raises Interrupted when it was interrupted, ConfigError when the options
    cannot be used, which the run itself has said on standard error, and OtelLLMError when it left no report.
    """
    before = study.runs()
    given = {
        **options,
        point.loop: f"{point.load:g}" if point.loop == "rate" else int(point.load),
        "seed": options.get("seed", 0) + point.repeat,
        "name": str(study.path),
        "append": True,
        "log_every_n_query": _SELDOM,
        "compat": "none",
    }
    process = start(["perf", *words_of(given), *more], subprocess.DEVNULL, None, keep=(study.lock,))
    try:
        code = process.wait()
    except KeyboardInterrupt:
        interrupt(process)
        raise Interrupted from None
    if code == _MISUSED:
        raise ConfigError("options that a run can be made with", next_step="see above")
    found = [run for name, run in study.runs().items() if name not in before and run["summary"] is not None]
    if not found:
        raise OtelLLMError(f"a report of the run at {point.asked}", f"none, and exit code {code}")
    (run,) = found
    if run["summary"]["ended_by"] == "interrupted":
        raise Interrupted
    study.add(point, run["id"])
    report: dict[str, Any] = run["summary"]
    return report


def between(pause_s: float, action: str | None) -> None:
    """Let the server rest for `pause_s`, then ask the URL by POST or run the command, if there is one.

    Raises OtelLLMError when that fails: what follows would not be what was asked for.
    """
    if pause_s:
        Event().wait(pause_s)
    if action is None:
        return
    try:
        if action.startswith(("http://", "https://")):
            with urllib.request.urlopen(urllib.request.Request(action, data=b""), timeout=_PATIENCE_S):  # noqa: S310
                return
        subprocess.run(shlex.split(action), check=True, stdout=subprocess.DEVNULL)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise OtelLLMError("--between to succeed", error) from None

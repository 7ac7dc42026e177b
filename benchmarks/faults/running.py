"""One cell: a real `otel-llm perf`, one fault at one moment, and what is left of the run."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psutil

from benchmarks.faults.cells import LOOPS, Cell
from benchmarks.faults.injecting import inject
from benchmarks.faults.servers import GOOD, Silent, closed_port, model_server, receiver
from otel_llm.sinks.stored_run import read_records
from otel_llm.testing import ScriptedServer

__all__ = ["Outcome", "run_cell"]

_HERE: Final = str(Path(__file__).parents[2])
_MOST_S: Final = 60.0
_FEW, _MANY = 4, 12
_BRIEF_S: Final = "1.2"
_TIMEOUTS: Final = ["--connect-timeout", "1", "--read-timeout", "0.5"]
_DELAY_S: Final = {"first token": 0.0, "middle": 0.04, "draining": 0.04, "exporting": 0.04}
"""From the sign of a moment to the moment."""
_AFTER_S: Final = 1.6
"""From the first request of a run of `_BRIEF_S` to a moment at which its time is over, and its answers are not."""
_CUT_SHORT: Final = ("interrupted", "duration")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a cell came to.

    seen:    requests that reached the server, those that were sent again included
    sent:    requests that were sent, as the report says
    seconds: from the fault to the end of the process
    wrong:   a few words for each thing that is not as expected
    """

    cell: Cell
    code: int | None
    report: bool
    seen: int
    sent: int | None
    rows: int | None
    seconds: float
    wrong: tuple[str, ...]


def run_cell(cell: Cell) -> Outcome:
    """Run a cell in a folder of its own, and leave no process behind."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        absent = cell.fault == "server gone" and cell.moment == "connecting"
        server = model_server(cell)
        stack.enter_context(server)
        otlp, exports = stack.enter_context(receiver(cell))
        url = f"http://127.0.0.1:{closed_port()}" if absent else server.url
        process = subprocess.Popen(
            _command(cell, url, otlp),
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([_HERE, os.environ.get("PYTHONPATH", "")])},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        stack.callback(process.kill)
        came = absent or _wait(lambda: _has_come(cell, server, exports), process)
        if came and cell.moment != "connecting":
            late = cell.moment == "draining" and cell.loop == "duration"
            time.sleep(_AFTER_S if late else _DELAY_S[cell.moment])
        since = time.monotonic()
        wrong = [] if came and process.poll() is None else ["the run ended before the fault"]
        workers = [] if wrong else psutil.Process(process.pid).children()
        if not wrong and not absent:
            inject(cell.fault, process, server, Path(folder) / "run.db")
        try:
            _, said = process.communicate(timeout=_MOST_S)
        except subprocess.TimeoutExpired:
            process.kill()
            _, said = process.communicate()
            wrong.append(f"no end within {_MOST_S:g} s")
        seconds = time.monotonic() - since
        if "Traceback" in said:
            wrong.append("a traceback")
        if any(_lives(worker) for worker in workers):
            wrong.append("a worker is left behind")
        return _judged(cell, process.returncode, Path(folder), len(server.requests), seconds, wrong)


def _command(cell: Cell, url: str, otlp: str | None) -> list[str]:
    words = [sys.executable, "-m", "otel_llm", "perf", "--url", f"{url}/v1/chat/completions", "--model", "m"]
    words += ["--prompt", "x" * (40_000 if cell.fault == "disk full" else 10)]
    words += [*LOOPS[cell.loop], "--ramp", "0"] if cell.loop != "open" else LOOPS[cell.loop]
    number = _FEW if cell.moment in ("draining", "exporting") else _MANY
    words += ["--duration", _BRIEF_S] if cell.loop == "duration" else ["-n", str(number)]
    if cell.fault.startswith("server"):
        words += _TIMEOUTS
    if otlp is not None:
        words += ["--otlp-endpoint", otlp, "--otlp-protocol", "http/protobuf"]
    return [*words, "--name", "run.db", "--json", "report.json"]


def _has_come(cell: Cell, server: ScriptedServer | Silent, exports: Sequence[Any]) -> bool:
    """Return whether there is the sign that the cell's moment comes."""
    if cell.moment == "connecting":
        return server.connections > 0
    if cell.moment == "exporting" and cell.fault != "no OTLP receiver":
        return bool(exports)
    if cell.moment == "draining" and cell.loop == "duration":
        return bool(server.requests)
    if cell.fault == "server gone" and isinstance(server, ScriptedServer):
        return len(server.sent_ns) > _MANY  # of two pieces an answer: one is whole
    return len(server.requests) > GOOD - (cell.moment in ("draining", "exporting"))


def _wait(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> bool:
    until = time.monotonic() + _MOST_S
    while not condition():
        if process.poll() is not None or time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def _lives(worker: psutil.Process) -> bool:
    try:
        return worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _judged(cell: Cell, code: int, folder: Path, seen: int, seconds: float, wrong: list[str]) -> Outcome:
    report, run_file = folder / "report.json", folder / "run.db"
    rows = None
    if run_file.exists():
        rows = sum("unsent" not in record.flags for record in read_records(run_file))
    if code != cell.code:
        wrong.append(f"exit code {cell.code} expected")
    sent = None
    if report.exists():
        found = json.loads(report.read_text())
        sent = found["requests"]["sent"]
        wrong += _sums(found)
        if rows is None or (rows != sent if cell.rows == "all" else rows >= sent):
            wrong.append("rows")
        if cell.rows == "fewer" and not any(f"holds {rows} of {sent} requests" in note for note in found["notes"]):
            wrong.append("no note of the rows that lack")
    else:
        wrong.append("no report")
    return Outcome(cell, code, report.exists(), seen, sent, rows, seconds, tuple(wrong))


def _sums(report: dict[str, Any]) -> list[str]:
    """Return what does not add up in the account of a report."""
    requests = report["requests"]
    ended = requests["succeeded"] + requests["failed"] + requests["cancelled"]
    never = requests["planned"] - ended
    wrong = []
    if never < 0 or (never and report["ended_by"] not in _CUT_SHORT):
        wrong.append(f"{requests['planned']} planned, {ended} accounted for")
    if sum(requests["errors"].values()) != requests["failed"] or requests["sent"] > ended:
        wrong.append("failures do not add up")
    return wrong

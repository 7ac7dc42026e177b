"""However a run ends, what was measured is written and printed, it does end, and its exit code tells."""

import io
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from otel_llm.cli import main
from otel_llm.load.coordinator.delivery import Delivery
from otel_llm.load.coordinator.interrupts import Interrupts
from otel_llm.load.figures import values as values_module
from otel_llm.load.figures.stats import Stats
from otel_llm.load.figures.values import Values
from otel_llm.measures import Facts
from otel_llm.sinks import Ended
from otel_llm.sinks.sqlite import RunFile
from otel_llm.sinks.stored_run import read_records
from otel_llm.testing import STALL, ScriptedServer
from tests.load.conftest import Perf
from tests.load.test_arithmetic import RUN
from tests.load.test_exchange import DONE, END, HEAD, HELLO, STOP, USAGE, Wire, chunk
from tests.load.test_kept_connections import ANSWER, asked
from tests.load.test_perf import wait_until

Start = Callable[..., Perf]
SLOW = [HEAD, 0.02, chunk(HELLO), 0.05, chunk(HELLO), 0.05, chunk(STOP + USAGE + DONE) + END]


def whole(run: Perf, code: int) -> None:
    """Check what every end has in common."""
    assert run.code == code, run.err
    assert "run file  " in run.out
    assert run.report["requests"]["planned"] >= 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_asked_to_end_however_often(perf: Start, number: int, times: int) -> None:
    with ScriptedServer(SLOW) as server:
        run = perf.start(*asked(server, "--duration", "60", "--parallel", "2"))  # type: ignore[attr-defined]
        wait_until(lambda: len(server.requests) >= 8)
        for _ in range(times):
            run.signal(number)
        run.wait()
        sent = len(server.requests)
    whole(run, 130)
    assert len(list(read_records(run.run_file))) >= sent - 2
    assert run.report["ended_by"] == "interrupted"
    assert run.report["notes"][0].startswith("interrupted: ")


@pytest.mark.parametrize("times", [1, 3])
def test_asked_to_end_while_connections_are_opened(perf: Start, times: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/v1/chat/completions"
        run = perf.start("--url", url, "--model", "m", "--prompt", "x", "-n", "4")  # type: ignore[attr-defined]
        connection, _ = silent.accept()
        with connection:
            for _ in range(times):
                run.signal(signal.SIGINT)
            run.wait()
    whole(run, 130)
    assert run.report["requests"]["succeeded"] == 0


@pytest.mark.parametrize("times", [1, 2])
def test_asked_to_end_while_telemetry_is_exported(perf: Start, times: int) -> None:
    with ScriptedServer(ANSWER) as server, ScriptedServer([STALL]) as receiver:
        otlp = ["--otlp-endpoint", receiver.url, "--otlp-protocol", "http/protobuf"]
        run = perf.start(*asked(server, "-n", "5", *otlp))  # type: ignore[attr-defined]
        wait_until(lambda: run.run_file.exists() and rows(run.run_file) == 5)
        for _ in range(times):
            run.signal(signal.SIGINT)
        run.wait()
    whole(run, 130)
    assert rows(run.run_file) == 5
    assert run.report["requests"]["succeeded"] == 5


def rows(path: Path) -> int:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        try:
            return int(db.execute("SELECT count(*) FROM result").fetchone()[0])
        except sqlite3.OperationalError:  # not yet made
            return 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGSTOP, 130), (signal.SIGKILL, 1)])
def test_a_worker_that_hangs_or_is_killed(perf: Start, number: int, code: int) -> None:
    with ScriptedServer(SLOW) as server:
        run = perf.start(  # type: ignore[attr-defined]
            *asked(server, "-n", "200", "--parallel", "4", "--workers", "2")
        )
        wait_until(lambda: run.run_file.exists() and rows(run.run_file) >= 4)
        worker = psutil.Process(run.process.pid).children()[0]
        worker.send_signal(number)
        if number == signal.SIGSTOP:
            run.signal(signal.SIGTERM)
        run.wait()
    whole(run, code)
    assert not worker.is_running()
    assert rows(run.run_file) >= 4
    assert "worker 0 " in run.err


SMALL_FILES = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from otel_llm.cli import main
sys.exit(main(["perf", *sys.argv[2:], "--name", "run.db", "--json", "report.json"]))
"""


def with_little_room(folder: Path, room: int, *arguments: str) -> Perf:
    words = [sys.executable, "-c", SMALL_FILES, str(room), *arguments]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    return Perf(folder, None, done.stdout, done.stderr, done.returncode)


def test_no_room_for_the_run_file(tmp_path: Path) -> None:
    with ScriptedServer(ANSWER) as server:
        run = with_little_room(
            tmp_path, 1_000_000, *asked(server, "-n", "300", "--parallel", "8", "--prompt", "x" * 3000)
        )
    whole(run, 1)
    assert run.report["requests"]["succeeded"] == 300
    (note,) = [note for note in run.report["notes"] if "run file" in note]
    assert f"the run file holds {rows(run.run_file)} of 300 requests: " in note
    assert note in run.out.replace("\n", " ")


def test_no_room_for_a_run_file_at_all_is_said_before_the_run(tmp_path: Path) -> None:
    with ScriptedServer(ANSWER) as server:
        run = with_little_room(tmp_path, 10_000, *asked(server, "-n", "3"))
    assert run.code == 2
    assert "expected a run file that can be written" in run.err
    assert not run.run_file.exists()


def test_what_the_run_file_lacks_is_counted_at_the_end_not_when_it_failed(tmp_path: Path) -> None:
    file, stats = RunFile(tmp_path / "run.db", RUN, 3), Stats(3)
    with Interrupts() as interrupts:
        delivery = Delivery(file, [], interrupts, stats)
        stats.add([call(0).facts])
        delivery.drop(file, OSError("no room"))
        stats.add([call(1).facts, call(2).facts])
        assert delivery.failures == ["the run file holds 0 of 3 requests: no room"]
    file.close()


def call(index: int) -> Ended:
    wire = Wire().read(HEAD + chunk(HELLO), chunk(STOP + USAGE + DONE) + END)
    (fact,) = list(Facts.of(wire.record))
    return Ended(fact, b"{}", None, None)


def test_a_locked_run_file_gets_its_rows_when_the_lock_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    file = RunFile(path, RUN, 3)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    file.take([call(0)])
    file.commit(now=True)
    file.take([call(1)])
    file.commit(now=True)
    assert file.written == 0
    other.rollback()
    file.take([call(2)])
    file.commit(now=True)
    assert file.written == 3
    other.close()
    file.close({})
    assert len(list(read_records(path))) == 3


@pytest.mark.parametrize(("asked", "left"), [(True, signal.SIG_IGN), (False, signal.default_int_handler)])
def test_a_process_that_was_asked_to_end_is_not_asked_again_while_it_does(asked: bool, left: object) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Interrupts(last=True):
            if asked:
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == left
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with Interrupts():  # of a run in somebody's program, which goes on
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)


class Broken:
    def __init__(self, *, take: bool, close: bool) -> None:
        self._take, self._close, self.taken = take, close, 0

    def take(self, ended: Any) -> None:
        self.taken += 1
        if self._take:
            raise OSError("no room")

    def close(self, report: Any = None) -> Any:
        if self._close:
            raise RuntimeError("never mind")
        return {"spans": 1}


def test_a_sink_that_fails_gets_nothing_more_and_the_others_all(tmp_path: Path) -> None:
    file = RunFile(tmp_path / "run.db", RUN, 2)
    one, two, good = Broken(take=True, close=False), Broken(take=False, close=True), Broken(take=False, close=False)
    with Interrupts() as interrupts:
        delivery = Delivery(file, [one, two, good], interrupts, Stats(2))
        for index in (0, 1):
            for sink in delivery.sinks:
                delivery.attempt(sink, sink.take, [call(index)])
        assert delivery.close_others({}) == {"spans": 1}
        delivery.close_file({})
    assert (one.taken, two.taken, good.taken) == (1, 2, 2)
    assert delivery.failures == [
        "Broken holds not all requests: OSError: no room", "Broken holds not all requests: RuntimeError: never mind"
    ]  # fmt: skip
    assert len(list(read_records(tmp_path / "run.db"))) == 2


class FullFile(io.FileIO):
    """A file with room for so many bytes."""

    room = 0

    def write(self, data: Any) -> int:
        if self.room <= 0:
            raise OSError(28, "No space left on device")
        written = super().write(data[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("room", [None, 0, 100, 1000, 5000])
def test_values_stay_in_memory_where_there_is_no_room(room: int | None, monkeypatch: Any, tmp_path: Path) -> None:
    def temporary(**_: Any) -> FullFile:
        if room is None:
            raise FileNotFoundError("no usable temporary directory")
        file = FullFile(str(tmp_path / "temporary"), "w+")
        file.room = room
        return file

    monkeypatch.setattr(values_module, "TemporaryFile", temporary)
    values, expected = Values(in_memory=200), np.arange(400.0)
    for part in np.split(expected, 20):
        values.extend(part)
    assert (values.all() == expected).all()
    assert (values.recent(30) == expected[-30:]).all()
    assert (len(values), values.mean) == (400, expected.mean())


def test_a_folder_for_the_report_that_is_missing_is_said_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with ScriptedServer(ANSWER) as server:
        code = main(["perf", *asked(server), "--json", "nowhere/report.json"])
        assert not server.requests
    expected = "expected a folder to write the JSON report in, got 'nowhere'; look at --json"
    assert (code, capsys.readouterr().err) == (2, f"otel-llm perf: {expected}\n")
    assert not list(tmp_path.iterdir())


def test_a_report_that_cannot_be_written_in_the_end_is_printed_all_the_same(perf: Start) -> None:
    with ScriptedServer(SLOW) as server:
        run = perf.start(*asked(server, "-n", "20"))  # type: ignore[attr-defined]
        wait_until(lambda: bool(server.requests))
        (run.folder / "report.json").mkdir()
        run.wait()
    assert run.code == 1
    assert "run file  " in run.out
    assert "expected a place to write the JSON report" in run.err


def test_a_terminal_without_signs_gets_them_in_letters_that_it_has(perf: Start) -> None:
    with ScriptedServer(ANSWER) as server:
        run = perf(
            *asked(server, "-n", "2", "--slo", "ttft=60"),
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
        )
    whole(run, 0)
    assert run.out.isascii()
    assert "ttft <= 60 s" in run.out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
def test_a_disk_without_room_for_what_is_printed(tmp_path: Path) -> None:
    with ScriptedServer(ANSWER) as server, Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "otel_llm.cli", "perf", *asked(server, "-n", "2"), "--json", "report.json"]
        done = subprocess.run(words, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "nothing could be printed" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "report.json").exists()


def test_a_reader_that_has_gone_changes_no_exit_code(tmp_path: Path) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    with ScriptedServer([b"HTTP/1.1 500 no\r\nContent-Length: 0\r\n\r\n"]) as server:
        words = [sys.executable, "-m", "otel_llm.cli", "perf", *asked(server, "-n", "2"), "--json", "report.json"]
        done = subprocess.run(words, cwd=tmp_path, stdout=writes, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writes)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert (tmp_path / "report.json").exists()

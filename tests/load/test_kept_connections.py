"""Connections that end without being asked, cannot be had, or never bring an end: what a run makes of them."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from otel_llm.clock import now_ns
from otel_llm.errors import RemoteError
from otel_llm.load.plan.share import Share
from otel_llm.load.worker import pool as pool_module
from otel_llm.load.worker.pacing import Pacing
from otel_llm.load.worker.pool import Pool
from otel_llm.load.worker.prepared import Prepared
from otel_llm.load.worker.raw import Raw
from otel_llm.sinks.stored_run import read_records
from otel_llm.testing import CLOSE, RESET, STALL, ScriptedServer
from otel_llm.wire.loop import new_loop
from tests.load.conftest import Perf
from tests.load.test_exchange import DONE, END, HEAD, HELLO, PLAN, ROLE, STOP, USAGE, Wire, chunk

Run = Callable[..., Perf]
ANSWER = [HEAD, chunk(HELLO), 0.01, chunk(STOP + USAGE + DONE) + END]


def asked(server: ScriptedServer, *more: str) -> list[str]:
    return ["--url", f"{server.url}/v1/chat/completions", "--model", "m", "--prompt", "x", *more]


@pytest.mark.parametrize("end", [[CLOSE], [0.001, CLOSE], [RESET]])
@pytest.mark.parametrize("loop", [["--parallel", "2"], ["--rate", "50"]])
def test_a_server_that_closes_what_it_offered_to_keep_fails_nothing(end: list[Any], loop: list[str], perf: Run) -> None:
    with ScriptedServer([*ANSWER, *end]) as server:
        run = perf(*asked(server, "-n", "20", *loop))
    assert (run.code, run.report["requests"]["succeeded"], run.report["requests"]["sent"]) == (0, 20, 20)
    records = list(read_records(run.run_file))
    resent = [record for record in records if "resent" in record.flags]
    assert run.report["flags"].get("resent", 0) == len(resent)
    assert all(record.connect_ns is not None for record in resent), "sent again on a connection of its own"
    if "--parallel" in loop:
        assert resent
        assert "resent: " in run.out


def test_a_request_is_sent_again_once_and_then_it_has_failed(perf: Run) -> None:
    with ScriptedServer([CLOSE]) as server:
        run = perf(*asked(server, "-n", "3"))
        assert len(server.requests) <= 6
    assert run.report["requests"]["errors"] == {"disconnect": 3}


@pytest.mark.parametrize("beginning", [HEAD + chunk(ROLE), HEAD + chunk(HELLO)])
def test_a_reset_right_behind_data_fails_at_once(beginning: bytes, perf: Run) -> None:
    """The loop has both at the same moment, and uvloop tells of the data alone."""
    with ScriptedServer(ANSWER, [beginning, RESET]) as server:
        run = perf(*asked(server, "-n", "8", "--read-timeout", "30"))
    assert run.report["requests"]["errors"] == {"disconnect": 7}
    assert run.report["duration"] < 20


@pytest.mark.parametrize(
    ("reads", "kept", "kind"),
    [
        ([], True, "closed_idle"),
        ([], False, "disconnect"),
        ([HEAD], True, "closed_idle"),
        ([HEAD + chunk(ROLE)], True, "closed_idle"),
        ([HEAD + chunk(ROLE), chunk(HELLO)], True, "disconnect"),
        ([HEAD.replace(b"text/event-stream", b"application/json") + chunk(b'{"choices":')], True, "disconnect"),
    ],
)
def test_before_the_first_token_a_kept_connection_had_only_been_closed(
    reads: list[bytes], kept: bool, kind: str
) -> None:
    wire = Wire(kept=kept).read(*reads)
    wire.exchange.lost(None)
    assert (wire.raw.error_type, wire.done) == (kind, 1)


def test_an_answer_without_an_end_ends_with_the_time_for_a_request(perf: Run) -> None:
    drip = [HEAD, *[chunk(HELLO), 0.05] * 400, STALL]
    with ScriptedServer(drip) as server:
        run = perf(*asked(server, "-n", "2", "--parallel", "2", "--request-timeout", "0.5"))
    assert run.code == 1
    assert run.report["requests"]["errors"] == {"request_timeout": 2}
    for record in read_records(run.run_file):
        assert record.error_message == "no end within 0.5 s"
        assert len(record.chunks) > 1, "what came is kept"


def test_the_pause_after_refusals_grows_with_their_time_and_ends_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    now, second = 5_000_000_000, 1_000_000_000
    monkeypatch.setattr(pool_module, "now_ns", lambda: now)
    refused = True

    async def connect(*_: Any) -> Any:
        if refused:
            raise RemoteError("connect", "a server")
        return object()

    monkeypatch.setattr(pool_module, "connect", connect)

    async def go() -> None:
        nonlocal now, refused
        pool, endless = (Pool(replace(PLAN, connect_timeout_s=10.0, duration_s=d), 8) for d in (None, 60.0))
        assert pool.pause_ns(0) == 0
        for each in (pool, endless):
            with pytest.raises(RemoteError):
                await each.connect(0)
        for passed, pause in ((0, 0.05), (0.2, 0.2), (3, 1), (9, 1)):
            now = 5 * second + round(passed * second)
            assert pool.pause_ns(0) == pause * second
        now = 16 * second
        assert (pool.pause_ns(0), endless.pause_ns(0)) == (0, second), "a clock ends the one, only its plan the other"
        refused = False
        for each in (pool, endless):
            await each.connect(0)
            assert each.pause_ns(0) == 0

    loop = new_loop()
    loop.run_until_complete(go())
    loop.close()


def test_a_slot_is_due_again_after_the_pause() -> None:
    dues: list[int] = []

    class Refusing:
        endpoints = 1

        def pause_ns(self, where: int) -> int:
            return 20_000_000

    async def perform(prepared: Prepared, _: Any, due: int, _intended: int | None) -> tuple[None, Raw]:
        dues.append(due)
        return None, Raw(prepared.index, ended_ns=due)

    pool: Any = Refusing()
    loop = new_loop()
    loop.run_until_complete(Pacing(replace(PLAN, number=4), Share(0, 1, 1), pool, perform).run(0))
    loop.close()
    assert [later - earlier for earlier, later in pairwise(dues)] == [20_000_000] * 3


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
from otel_llm.cli import main
sys.exit(main(["perf", *sys.argv[3:]]))
"""


def limited(folder: Path, soft: int, hard: int, *arguments: str) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-c", LIMITED, str(soft), str(hard), *arguments, "--name", "run.db"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_a_soft_limit_of_descriptors_is_raised(tmp_path: Path) -> None:
    with ScriptedServer(ANSWER) as server:
        run = limited(tmp_path, 64, 256, *asked(server, "-n", "120", "--parallel", "120", "--ramp", "0"))
    assert run.returncode == 0, run.stderr
    assert sum(record.ok for record in read_records(tmp_path / "run.db")) == 120


def test_a_hard_limit_below_the_plan_is_said_before_any_request(tmp_path: Path) -> None:
    with ScriptedServer(ANSWER) as server:
        run = limited(tmp_path, 64, 64, *asked(server, "-n", "120", "--parallel", "120"))
        assert not server.requests
    assert run.returncode == 2
    assert "room for 120 connections (--parallel)" in run.stderr
    assert "64" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "run.db").exists()


def test_an_open_loop_that_runs_out_of_descriptors_loses_no_worker(tmp_path: Path) -> None:
    slow = [HEAD, 1.5, chunk(HELLO) + chunk(STOP + USAGE + DONE) + END]
    with ScriptedServer(slow) as server:
        run = limited(tmp_path, 48, 48, *asked(server, "-n", "80", "--rate", "-1"))
    assert "Traceback" not in run.stderr
    records = list(read_records(tmp_path / "run.db"))
    assert len(records) == 80
    assert {record.error_type for record in records} == {None, "connect"}


def test_a_connection_is_open_before_a_request_that_comes_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = list[int]()

    class Idle:
        """A connection that has nothing to do, used or not."""

        open = True

        def __init__(self, idle_since_ns: int, used: int) -> None:
            self.idle_since_ns, self.used = idle_since_ns, used

    async def run() -> None:
        pool = Pool(PLAN, 0)

        async def connect(where: int) -> Any:
            opened.append(where)
            return Idle(0, 0)

        monkeypatch.setattr(pool, "connect", connect)
        second = 1_000_000_000
        now = now_ns()
        pool._idle[0].append(cast("Any", Idle(now, 1)))
        pool.keep_fresh(now + 2 * second)  # the one that is there will do
        await asyncio.sleep(0)
        assert opened == []
        pool.keep_fresh(now + 4 * second)  # its server may be closing it by then
        pool.keep_fresh(now + 4 * second)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert opened == [0]
        pool.keep_fresh(now + 4 * second)  # a new one is there
        pool._idle[0].clear()
        pool._refusing_since_ns[0] = now  # where nothing can be opened, requests find that out
        pool.keep_fresh(now + 4 * second)
        await asyncio.sleep(0)
        assert opened == [0]

    asyncio.run(run())

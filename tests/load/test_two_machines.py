"""A run on two machines that are 5 ms apart and whose clocks differ: what they measure, and what is known of clocks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from otel_llm.sinks.stored_run import read_records
from tests.load.far_agents import AHEAD_S, SIM_PORT
from tests.load.namespaces import Machine, lacking, two_machines
from tests.load.test_report import check

ONE_WAY_S, STARTED_EARLIER_S = 0.005, 1000


def python(machine: Machine, *words: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        machine.command(sys.executable, "-m", *words), stdout=subprocess.PIPE, text=True, cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The reports of a run on two machines and of the same on one, and the folder of their run files.

    Each machine has a model server of its own at the address that both are given, so no packet of an answer has a link
    to cross.
    """
    if (lacks := lacking()) is not None:
        pytest.skip(lacks)
    folder = tmp_path_factory.mktemp("runs")
    knobs = ("--ttft-ms", "400", "--itl-ms", "20", "--tokens", "6", "--port", str(SIM_PORT))
    with two_machines(ONE_WAY_S, STARTED_EARLIER_S) as (near, far):
        servers = [python(machine, "otel_llm", "sim", *knobs, folder=folder) for machine in (near, far)]
        servers.append(python(far, "tests.load.far_agents", "serve", far.address, folder=folder))
        for server in servers:
            assert server.stdout is not None
            assert server.stdout.readline()
        run = python(near, "tests.load.far_agents", "run", far.address, folder=folder)
        out, _ = run.communicate(timeout=200)
    assert run.returncode == 0
    return json.loads(out), folder


def test_no_percentile_is_of_two_clocks(ran: tuple[dict[str, Any], Path]) -> None:
    reports, _ = ran
    for name in ("time_to_first_token", "inter_token_latency", "request_latency"):
        two, one = (reports[run]["measures"][name] for run in ("two", "one"))
        assert two["count"] == one["count"]
        assert two["p50"] == pytest.approx(one["p50"], rel=0.25), f"{name}: 0.2 s of 0.4 would be half of it"
    for report in reports.values():
        check(report)
        assert report["requests"]["succeeded"] == 60
        assert report["tokens"]["output"] == 360


def test_all_moments_are_on_one_clock(ran: tuple[dict[str, Any], Path]) -> None:
    """A clock that reads 1,000 s more would tell the moments of the second machine's requests from the others."""
    _, folder = ran
    moments = {}
    for run in ("two", "one"):
        records = list(read_records(folder / f"{run}.db"))
        assert all(record.intended_ns <= record.sent_ns <= record.chunks.at_ns[0] for record in records)  # type: ignore[operator]
        meant = sorted((record.intended_ns or 0, record.index) for record in records)
        moments[run] = [(index, at - meant[0][0]) for at, index in meant]
    assert moments["two"] == moments["one"], "to the nanosecond"


def test_the_offset_is_found_within_a_millisecond(ran: tuple[dict[str, Any], Path]) -> None:
    """Or, where the machine is so busy that no exchange was quick, as near as the quickest of them allows."""
    (far,) = ran[0]["two"]["machines"]
    assert far["requests"]["sent"] == 30
    clock = far["clock"]
    assert clock["bound"] >= ONE_WAY_S
    assert abs(clock["offset"] - AHEAD_S) <= max(0.001, clock["bound"] - ONE_WAY_S)
    assert abs(clock["drift"]) <= 2 * clock["bound"]

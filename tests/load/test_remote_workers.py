"""Workers behind agents, as on other machines: what they measured is the run's, and who is lost is accounted for."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from otel_llm.errors import ConfigError
from otel_llm.load.coordinator.clocks import HostClock
from otel_llm.load.coordinator.crew import Host, Started
from otel_llm.load.coordinator.run import Run, RunResult
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.plan.share import Share
from otel_llm.load.plan.stages import Stages
from otel_llm.load.remote.agent import Agent
from otel_llm.load.remote.ray_crew import RayCrew
from otel_llm.load.remote.relay import relay
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.stored_run import read_records
from otel_llm.wire.target import Target
from tests.load.test_exchange import PLAN
from tests.load.test_report import check

AHEAD_NS = 200_000_000
LATER = """
import time
real = time.perf_counter_ns
time.perf_counter_ns = lambda: real() + {}
"""
"""A machine whose monotonic clock reads more, for the worker that the agent starts."""


class FarAgent(Agent):
    """An agent of that machine; `end` of this process's words is reached with `kill`, as for an actor."""

    lost = False

    def clock(self) -> tuple[int, int]:
        monotonic, wall = super().clock()
        return monotonic + AHEAD_NS, wall

    def receive(self) -> bytes | None:
        if self.lost:
            raise ConnectionError("node-1 is gone\nand more")
        return super().receive()

    def kill(self) -> None:
        self._process.kill()


class FarCrew:
    """An agent for each worker, each a machine of its own."""

    lead_ns = 100_000_000

    def __init__(self) -> None:
        self.agents: list[FarAgent] = []

    def start(self, plan: LoadPlan, shares: Sequence[Share]) -> Sequence[Started]:
        self.agents = [FarAgent(plan, share) for share in shares]
        return [
            relay(agent, Host(f"node-{number}", HostClock(agent.clock))) for number, agent in enumerate(self.agents)
        ]


@pytest.fixture(scope="module")
def sim() -> Iterator[str]:
    with SimProcess(Behaviour(ttft_ms=5, itl_ms=1, tokens=5)) as server:
        yield server.url


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FarCrew:
    (tmp_path / "sitecustomize.py").write_text(LATER.format(AHEAD_NS))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.chdir(tmp_path)
    return FarCrew()


def plan(url: str, number: int, **more: Any) -> LoadPlan:
    target = Target.parse(url if url.endswith("completions") else f"{url}/v1/chat/completions")
    return replace(PLAN, target=target, number=number, workers=2, **more)


def test_a_run_on_two_machines_has_the_schedule_of_one_and_says_how_far_their_clocks_are_apart(
    sim: str, far: FarCrew
) -> None:
    given = plan(sim, 40, rate=Stages.steady(40), seed=5)
    result = Run(given, name="run.db", crew=far).go()
    report = result.report
    check(dict(report))
    assert report["requests"]["succeeded"] == 40
    assert report["tokens"]["output"] == 200
    records = list(read_records(Path("run.db")))
    intended = sorted(record.intended_ns or 0 for record in records)
    planned = list(islice(given.arrivals(), 40))
    assert [at - intended[0] for at in intended] == [at - planned[0] for at in planned], "to the nanosecond"
    assert all(record.intended_ns <= record.sent_ns <= record.chunks.at_ns[0] for record in records)  # type: ignore[operator]
    assert [machine["name"] for machine in report["machines"]] == ["node-0", "node-1"]
    assert [machine["requests"]["sent"] for machine in report["machines"]] == [20, 20]
    for machine in report["machines"]:
        assert abs(machine["clock"]["offset"]) <= machine["clock"]["bound"] + 0.01, "they have one wall clock"
        assert machine["clock"]["drift"] == pytest.approx(0, abs=0.05)
    assert sum(machine["client"]["reads"] for machine in report["machines"]) == report["client"]["reads"]


@pytest.mark.parametrize("how", ["worker", "machine"])
def test_one_that_dies_is_reported_and_its_requests_are_accounted_for(how: str, sim: str, far: FarCrew) -> None:
    given = plan(sim, 400, rate=Stages.steady(100))
    run = Run(given, name="run.db", crew=far)
    take = run._take

    def take_and_kill(*ended: Any) -> None:
        take(*ended)
        if how == "worker":
            far.agents[1].kill()
        far.agents[1].lost = how == "machine"

    run._take = take_and_kill  # type: ignore[method-assign]
    result = run.go()
    requests = result.report["requests"]
    assert requests["errors"]["worker_died"] == 200 - result.report["machines"][1]["requests"]["sent"]
    assert requests["succeeded"] + requests["failed"] == requests["planned"] == 400
    assert said(result) in ("exit code -9", "ConnectionError: node-1 is gone")
    assert any("worker 1 on node-1 died" in reason for reason in result.report["client"]["reasons"])
    assert result.exit_code() == 1
    assert far.agents[1]._process.wait(10) is not None, "no worker is left behind"


def test_a_cluster_that_does_not_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray raises a bare Exception where a machine is too busy for its daemons."""

    def init(**_: Any) -> None:
        raise Exception("The current node timed out during startup.\nand more")

    ray = ModuleType("ray")
    ray.init = init  # type: ignore[attr-defined]
    for name in ("ray", "ray.util", "ray.util.scheduling_strategies"):
        monkeypatch.setitem(sys.modules, name, ray)
    with pytest.raises(
        ConfigError, match="a Ray cluster at --ray local, got 'The current node timed out during"
    ) as told:
        RayCrew("local", 1)
    assert "\n" not in str(told.value)


def said(result: RunResult) -> str:
    (line,) = result.health.died
    return line.partition("(")[2].rstrip(")")

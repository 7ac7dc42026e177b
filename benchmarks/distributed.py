"""What it costs to have workers elsewhere, what a second worker costs, and what it brings to pin workers to cores.

    python -m benchmarks.distributed [ROUNDS]   local workers, pinned ones, workers behind agents, and on Ray

Each run is a process of its own; the variants take turns. CPU a packet, of the workers and of all processes but the
server and Ray's daemons, is beside that of one local worker in the same round, so that a machine which is slower in one
minute than in the next moves both. Control bytes are what an agent passes to the coordinator, per packet.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Final

from otel_llm.load.coordinator.clocks import HostClock
from otel_llm.load.coordinator.crew import Crew, Host, Started
from otel_llm.load.coordinator.local import LOCAL
from otel_llm.load.coordinator.run import Run
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.plan.share import Share
from otel_llm.load.remote.agent import Agent
from otel_llm.load.remote.relay import relay
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.wire.protocol import Ask
from otel_llm.wire.target import Target
from otel_llm_plugins.openai_chat import OpenAIChat

STREAMS, TOKENS, REQUESTS, GAP_MS = 64, 200, 256, 10
BASE: Final = "local, one"


class CountedAgent(Agent):
    """An agent of this machine that counts what it passes on."""

    passed = 0

    def receive(self) -> bytes | None:
        said = super().receive()
        self.passed += len(said or b"")
        return said

    def kill(self) -> None:
        self._process.kill()


class Agents:
    """Workers behind agents of this process: what Ray's workers are, without Ray."""

    lead_ns = 100_000_000

    def __init__(self) -> None:
        self.agents: list[CountedAgent] = []

    def start(self, plan: LoadPlan, shares: Sequence[Share]) -> Sequence[Started]:
        self.agents = [CountedAgent(plan, share) for share in shares]
        return [relay(agent, Host(f"agent-{n}", HostClock(agent.clock))) for n, agent in enumerate(self.agents)]


class Pinned:
    """Local workers, each on a core of its own."""

    lead_ns = LOCAL.lead_ns

    def start(self, plan: LoadPlan, shares: Sequence[Share]) -> Sequence[Started]:
        cores, found = sorted(os.sched_getaffinity(0)), list[Started]()
        for number, share in enumerate(shares):
            os.sched_setaffinity(0, {cores[number % len(cores)]})  # a child inherits it
            found += LOCAL.start(plan, [share])
        os.sched_setaffinity(0, cores)
        return found


def _ray(workers: int) -> Crew:
    from otel_llm.load.remote.ray_crew import RayCrew

    return RayCrew("local", workers)


VARIANTS: Final[dict[str, tuple[int, Callable[[], Crew]]]] = {
    BASE: (1, lambda: LOCAL),
    "local, two": (2, lambda: LOCAL),
    "local, one, pinned": (1, Pinned),
    "local, two, pinned": (2, Pinned),
    "behind an agent, one": (1, Agents),
    "on Ray, one": (1, lambda: _ray(1)),
    "on Ray, two": (2, lambda: _ray(2)),
}


def measured(name: str, url: str) -> dict[str, float]:
    """Run a variant in this process, and return what it cost."""
    plan = LoadPlan(
        target=Target.parse(f"{url}/v1/chat/completions"), protocol=OpenAIChat, model="m", number=REQUESTS,
        requests=(OpenAIChat.encode(Ask(model="m", messages=[])),), parallel=STREAMS, keep_events=False,
    )  # fmt: skip
    workers, make = VARIANTS[name]
    crew = make()
    before = _cpu_s(os.getpid())
    with tempfile.TemporaryDirectory() as folder:
        run = Run(replace(plan, workers=workers), name=str(Path(folder) / "run.db"), keep_content=False, crew=crew)
        report = run.go().report
    client, everything = report["client"], _cpu_s(os.getpid()) - before
    passed = sum(agent.passed for agent in crew.agents) if isinstance(crew, Agents) else 0
    return {
        "workers": client["cpu_seconds"] / client["reads"] * 1e6,
        "all": everything / client["reads"] * 1e6,
        "rate": client["reads"] / report["duration"],
        "late": client["receive_lag"]["p99"] * 1e3,
        "control": passed / client["reads"],
    }


def _cpu_s(process: int) -> float:
    """Return the CPU seconds of a process, of those that it waited for, and of its children that live."""
    try:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return 0.0
    own = sum(map(int, words[11:15])) / os.sysconf("SC_CLK_TCK")
    return own + sum(_cpu_s(int(child)) for child in children)


def main(rounds: int) -> None:
    names = [name for name in VARIANTS if "Ray" not in name or find_spec("ray") is not None]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {STREAMS} streams, {REQUESTS} answers of {TOKENS}")
    with SimProcess(Behaviour(ttft_ms=5, itl_ms=GAP_MS, tokens=TOKENS)) as sim:
        found = [{name: _apart(name, sim.url) for name in names} for _ in range(rounds)]
    print(f"load {os.getloadavg()[0]:.1f} at the end; medians of rounds, and of the ratios to {BASE} in each")
    for name in names:
        those = [(cost, base) for each in found if (cost := each[name]) and (base := each[BASE])]
        print(_line(name, those) if those else f"{name:22} did not run")


def _apart(name: str, url: str) -> dict[str, float] | None:
    """Run a variant in a process of its own; None where it failed, as Ray does where its daemons get no core."""
    command = [sys.executable, "-m", "benchmarks.distributed", "--one", name, url]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def _line(name: str, those: Sequence[tuple[dict[str, float], dict[str, float]]]) -> str:
    def middle(key: str) -> float:
        return median(cost[key] for cost, _ in those)

    def beside(key: str) -> str:
        ratios = sorted(cost[key] / base[key] for cost, base in those)
        return f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"

    return (
        f"{name:22} workers {middle('workers'):5.1f} us a packet, x {beside('workers')}; all {middle('all'):5.1f} us, "
        f"x {beside('all')}; {middle('rate'):,.0f} packets/s; late p99 {middle('late'):.2f} ms; "
        f"{middle('control'):.0f} control bytes"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measured(*sys.argv[2:])))
    else:
        main(int(*sys.argv[1:] or ["3"]))

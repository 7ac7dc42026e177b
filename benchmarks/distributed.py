"""What it costs to have workers elsewhere, and what a second worker brings.

    python -m benchmarks.distributed            local workers, workers behind agents, and Ray's if it is installed

CPU is that of the workers' processes per packet, which other load on the machine hardly moves. Control bytes are what
an agent passes to the coordinator, per packet. How many packets two workers take beside one is a ratio of rates of this
machine at this moment, and says nothing while others use its cores.
"""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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

STREAMS, TOKENS, REQUESTS = 64, 200, 256


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


def measured(plan: LoadPlan, crew: Crew) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return dict(Run(plan, name=str(Path(folder) / "run.db"), keep_content=False, crew=crew).go().report)


def line(name: str, report: dict[str, Any], more: str = "") -> None:
    client = report["client"]
    per_packet = client["cpu_seconds"] / client["reads"] * 1e6
    rate = client["reads"] / report["duration"]
    print(f"{name:24} {client['reads']:>8,} packets  {per_packet:6.1f} us CPU each  {rate:8,.0f} packets/s{more}")


def main() -> None:
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f}; {STREAMS} streams, {REQUESTS} answers of {TOKENS} tokens")
    with SimProcess(Behaviour(ttft_ms=5, itl_ms=5, tokens=TOKENS)) as sim:
        plan = LoadPlan(
            target=Target.parse(f"{sim.url}/v1/chat/completions"), protocol=OpenAIChat, model="m", number=REQUESTS,
            requests=(OpenAIChat.encode(Ask(model="m", messages=[])),), parallel=STREAMS, keep_events=False,
        )  # fmt: skip
        for workers in (1, 2):
            many = replace(plan, workers=workers)
            line(f"local, workers {workers}", measured(many, LOCAL))
            agents = Agents()
            report = measured(many, agents)
            passed = sum(agent.passed for agent in agents.agents)
            line(f"agents, workers {workers}", report, f"  {passed / report['client']['reads']:.1f} control bytes each")
        if find_spec("ray") is not None:
            from otel_llm.load.remote.ray_crew import RayCrew

            crew = RayCrew("local", 1)
            line("Ray, workers 1", measured(replace(plan, workers=1), crew))
            crew.close()


if __name__ == "__main__":
    main()

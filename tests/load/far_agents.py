"""Agents that are called over a connection, without Ray: `serve` them on one machine, `run` with them on another."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.managers import BaseManager
from typing import Any, Final

from otel_llm.load.coordinator.clocks import HostClock
from otel_llm.load.coordinator.crew import Host, Started
from otel_llm.load.coordinator.local import LOCAL
from otel_llm.load.coordinator.run import Run
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.plan.share import Share
from otel_llm.load.plan.stages import Stages
from otel_llm.load.remote.agent import Agent
from otel_llm.load.remote.relay import relay
from otel_llm.wire.target import Target
from tests.load.test_exchange import PLAN

__all__ = ["AHEAD_S", "SIM_PORT"]

PORT, SIM_PORT = 7000, 8000
AHEAD_S: Final = 0.2


class FarAgent(Agent):
    """An agent whose machine has a wall clock that is ahead: of that clock there are no namespaces."""

    def clock(self) -> tuple[int, int]:
        monotonic, wall = super().clock()
        return monotonic, wall + round(AHEAD_S * 1e9)

    def kill(self) -> None:
        self._process.kill()


class Agents(BaseManager):
    """Starts agents on the machine where it serves."""


Agents.register("agent", FarAgent)


class Crew:
    """The first worker here, the second there."""

    lead_ns: Final = 500_000_000

    def __init__(self, address: str) -> None:
        self._agents: Any = Agents((address, PORT), b"of this test alone")
        self._agents.connect()

    def start(self, plan: LoadPlan, shares: Sequence[Share]) -> Sequence[Started]:
        far = self._agents.agent(plan, shares[1])
        return [*LOCAL.start(plan, shares[:1]), relay(far, Host("far", HostClock(far.clock)))]


def _run(address: str) -> None:
    """Print the reports of a run here and there, and of the same run here alone."""
    plan = replace(
        PLAN, target=Target.parse(f"http://127.0.0.1:{SIM_PORT}/v1/chat/completions"), number=60, seed=4, workers=2,
        rate=Stages.steady(30),
    )  # fmt: skip
    crews = {"two": Crew(address), "one": LOCAL}
    print(json.dumps({name: Run(plan, name=f"{name}.db", crew=crew).go().report for name, crew in crews.items()}))


if __name__ == "__main__":
    role, address = sys.argv[1:]
    if role == "serve":
        server = Agents((address, PORT), b"of this test alone").get_server()
        print("ready", flush=True)
        server.serve_forever()
    else:
        _run(address)

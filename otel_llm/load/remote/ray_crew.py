"""Workers on the nodes of a Ray cluster: Ray places them and carries what is said, and nothing of that is ours."""

import os
import socket
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import urlsplit

from otel_llm.errors import ConfigError
from otel_llm.load.coordinator.clocks import HostClock
from otel_llm.load.coordinator.crew import Host, Started
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.plan.share import Share
from otel_llm.load.remote.agent import Agent
from otel_llm.load.remote.relay import relay

__all__ = ["RayCrew"]

_READY_S: Final = 60
_KNOCK_S: Final = 10
_LOCAL: Final = "local"


class RayCrew:
    """So many workers on each node of a cluster that has room for them. Call `close` at the end.

    workers: of all nodes
    """

    lead_ns: Final = 500_000_000

    def __init__(self, address: str, per_node: int) -> None:
        """address: `auto`, `ray://HOST:PORT`, or `local`, which starts a cluster of this machine.

        Raises ConfigError without Ray, without such a cluster, or where no node has room.
        """
        self._ray = _connected(address)
        try:
            nodes = sum(
                node["Alive"] and node["Resources"].get("CPU", 0) >= per_node for node in self._ray.nodes()
            )  # fmt: skip
            if not nodes:
                raise ConfigError(
                    f"a node with {per_node} CPUs in the Ray cluster", "none", "give a smaller --per-node"
                )
            self.workers, self._nodes = nodes * per_node, nodes
            self._group = self._reserved([{"CPU": per_node}] * nodes)
        except BaseException:
            self._ray.shutdown()
            raise

    def _reserved(self, bundles: Sequence[dict[str, float]]) -> Any:
        group = self._ray.util.placement_group(list(bundles), strategy="STRICT_SPREAD")
        if not group.wait(_READY_S):
            raise ConfigError(
                f"{len(bundles)} Ray nodes with {bundles[0]['CPU']:g} free CPUs each", f"none in {_READY_S} s",
                "end what else runs there, or give a smaller --per-node",
            )  # fmt: skip
        return group

    def start(self, plan: LoadPlan, shares: Sequence[Share]) -> Sequence[Started]:
        """Return a worker for each share, one node after the other. Raises ConfigError where a node cannot run it."""
        placed = self._ray.util.placement_group_table(self._group)["bundles_to_node_id"]
        hosts: dict[int, Host] = {}
        agents = [(number % self._nodes, self._agent(plan, share, number)) for number, share in enumerate(shares)]
        for node, agent in agents:
            if node not in hosts:
                hosts[node] = Host(f"{self._checked(agent)} ({placed[node][:8]})", HostClock(agent.clock))
        return [relay(agent, hosts[node]) for node, agent in agents]

    def _agent(self, plan: LoadPlan, share: Share, number: int) -> "_Actor":
        where = self._ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
            placement_group=self._group, placement_group_bundle_index=number % self._nodes
        )
        made = self._ray.remote(num_cpus=1, max_concurrency=4, scheduling_strategy=where)(Agent)
        try:
            return _Actor(self._ray, made.remote(plan, share))
        except TypeError as error:
            raise ConfigError("a plan that can be sent to other machines", error, "go without --ray") from error

    def _checked(self, agent: "_Actor") -> str:
        """Return the name of an agent's machine. Raises ConfigError unless this software is there, in this version."""
        mine = version("otel-llm")
        try:
            name, theirs = agent.about()
        except self._ray.exceptions.RayError as error:
            got = str(error).strip().splitlines()[-1]
            raise ConfigError(
                f"otel-llm {mine} on every Ray node", got, "install it there, or in runtime_env"
            ) from error
        if theirs != mine:
            raise ConfigError(
                f"otel-llm {mine} on every Ray node", f"{theirs} on {name}", "install the same everywhere"
            )
        return name

    def close(self) -> None:
        """Give back what was reserved, and leave the cluster."""
        self._ray.util.remove_placement_group(self._group)
        self._ray.shutdown()


class _Actor:
    """An agent as the coordinator calls it."""

    def __init__(self, ray: Any, handle: Any) -> None:
        self._ray, self._handle = ray, handle
        self.about: Callable[[], tuple[str, str]] = self._call("about")
        self.clock: Callable[[], tuple[int, int]] = self._call("clock")
        self.receive: Callable[[], bytes | None] = self._call("receive")
        self.tell: Callable[[bytes], None] = self._call("tell")
        self.end: Callable[[], str] = self._call("end")

    def _call(self, name: str) -> Callable[..., Any]:
        method = getattr(self._handle, name)
        return lambda *arguments: self._ray.get(method.remote(*arguments))

    def kill(self) -> None:
        self._ray.kill(self._handle)


def _knock(address: str) -> None:
    """Raise OSError where nothing listens at HOST:PORT: Ray would try for minutes."""
    where = urlsplit(address if "://" in address else f"ray://{address}")
    if where.port is not None:
        socket.create_connection((where.hostname or "", where.port), _KNOCK_S).close()


def _connected(address: str) -> Any:
    """Return Ray, connected to a cluster. Raises ConfigError where that cannot be."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a measurement calls nobody else
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError as error:
        raise ConfigError("the extra `ray` for --ray", error, "pip install 'otel-llm[ray]'") from error
    quiet = {"logging_level": "ERROR", "log_to_driver": False}
    try:
        _knock(address)
        if address == _LOCAL:
            ray.init(address=_LOCAL, include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except Exception as error:  # a node that is not up in time is a bare one
        got = str(error).strip().partition("\n")[0]
        next_step = "try again when less runs here" if address == _LOCAL else "--ray local starts one on this machine"
        raise ConfigError(f"a Ray cluster at --ray {address}", got, next_step) from error
    return ray

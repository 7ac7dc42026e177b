"""Every tool in turn under the same load against the same server, round after round; what each got wrong, and its cost.

Each run is held against what the server logged of that very run: a machine that is busy with other work delays the
server too, and that is no tool's error.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.adapter import Load, Reading, Tool
from benchmarks.peers.running import Run, run
from benchmarks.peers.truth import Truth, truth_of
from otel_llm.sim import Behaviour, SimProcess

__all__ = ["Scene", "Standing", "compare"]

_LINES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A load: closed loop, `streams` at a time, `answers` per stream of `tokens` tokens, one each `itl_ms`."""

    streams: int
    itl_ms: float
    tokens: int = 64
    answers: int = 4
    ttft_ms: float = 200

    def __str__(self) -> str:
        return f"{self.streams} streams x {self.itl_ms:g} ms, {self.answers} answers of {self.tokens} tokens each"


@dataclass(slots=True)
class Standing:
    """What one tool came to over the rounds. Errors are in seconds, its own figure less the server's."""

    tool: Tool
    readings: list[Reading] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    small_cpu_s: list[float] = field(default_factory=list)
    large_cpu_s: list[float] = field(default_factory=list)
    small_packets: list[int] = field(default_factory=list)
    failed: str = ""

    def errors(self, name: str) -> list[float]:
        """Return the error of each round in the measure `name`; none where the tool does not report it."""
        pairs = zip(self.readings, self.truths, strict=True)
        said = ((getattr(reading, name), getattr(truth, name)) for reading, truth in pairs)
        return [ours - true for ours, true in said if ours is not None]

    def cost(self) -> list[float]:
        """Return the CPU seconds per packet of each round: the slope between two sizes, the start left out."""
        rounds = zip(self.small_cpu_s, self.large_cpu_s, self.small_packets, self.truths, strict=True)
        return [(large - small) / (truth.packets - packets) for small, large, packets, truth in rounds]

    def least_cost(self) -> float:
        """Return the slope between the cheapest run of each size: what other work on the machine adds is never less."""
        packets = self.truths[0].packets - self.small_packets[0]
        return (min(self.large_cpu_s) - min(self.small_cpu_s)) / packets

    def start(self) -> float:
        """Return the CPU seconds of a run of no packets."""
        return min(self.small_cpu_s) - self.least_cost() * self.small_packets[0]


def compare(scene: Scene, tools: Sequence[Tool], rounds: int) -> list[Standing]:
    """Run every tool `rounds` times, all of them in each round; one that fails is left out from there on."""
    standings = [Standing(tool) for tool in tools]
    behaviour = Behaviour(ttft_ms=scene.ttft_ms, itl_ms=scene.itl_ms, tokens=scene.tokens)
    with SimProcess(behaviour, log=True) as sim:
        for number in range(rounds):
            for standing in standings:
                if not standing.failed:
                    _round(scene, standing, sim)
                    print(f"  round {number + 1}: {standing.tool.name}: {_brief(standing)}", flush=True)
    return standings


def _round(scene: Scene, standing: Standing, sim: SimProcess) -> None:
    small = _once(scene, scene.streams, standing, sim)
    large = _once(scene, scene.streams * scene.answers, standing, sim) if small else None
    if small is None or large is None:
        return
    standing.small_cpu_s.append(small[0].cpu_s)
    standing.small_packets.append(small[1].packets)
    standing.large_cpu_s.append(large[0].cpu_s)
    standing.truths.append(large[1])
    standing.readings.append(large[2])
    standing.peaks.append(large[3])


def _once(scene: Scene, requests: int, standing: Standing, sim: SimProcess) -> tuple[Run, Truth, Reading, int] | None:
    """Return how it ran, what was sent, what it says and the most answers that were under way; None where it failed."""
    load = Load(url=sim.url, streams=scene.streams, requests=requests, tokens=scene.tokens)
    tool = standing.tool
    sim.reset()
    with tempfile.TemporaryDirectory(prefix="otel-llm-peers-") as name:
        folder = Path(name)
        done = run(tool.command(load, folder), folder)
        truth = truth_of(sim.log())
        if done.code != 0 or truth is None:
            end = "\n".join(done.said.splitlines()[-_LINES:])
            standing.failed = f"exit code {done.code} after {done.wall_s:.0f} s: {end}"
            return None
        return done, truth, tool.read(folder, done.said), sim.stats()["peak"]


def _brief(standing: Standing) -> str:
    if standing.failed:
        return f"failed, {standing.failed}"
    first, gap = standing.errors("ttft_mean"), standing.errors("itl_p99")
    return f"first token {_ms(first[-1:])} ms, ITL p99 {_ms(gap[-1:])} ms, {standing.cost()[-1] * 1e6:.1f} µs a packet"


def _ms(values: Sequence[float]) -> str:
    return f"{values[0] * 1e3:+.3f}" if values else "-"

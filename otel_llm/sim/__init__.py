"""A simulated LLM server with a known schedule, which says what it sent and when.

with SimServer(Behaviour(ttft_ms=200, itl_ms=20)) as sim:
    ask(sim.url + "/v1/chat/completions")
    sim.log[0]["first_token"]

It speaks every protocol that there is a plugin for, streamed and not (`otel_llm.sim.formats`). `Behaviour` holds its
knobs, and `otel_llm.sim.truth` describes a row of the log. `SimServer` runs in a thread, `SimProcess` in a process of
its own.
"""

from otel_llm.sim.behaviour import Behaviour
from otel_llm.sim.process import SimProcess
from otel_llm.sim.server import SimServer

__all__ = ["Behaviour", "SimProcess", "SimServer"]

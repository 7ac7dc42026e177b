"""The simulated server says what the truth server says, which shares no line with it."""

import json
from typing import Any

import pytest

from otel_llm.sim import SimServer
from tests.sim.plain_client import Heard, ask
from tests.truthserver.process import TruthServer

KNOBS: list[dict[str, Any]] = [
    {},
    {"tok_per_event": 3},
    {"ev_per_write": 4},
    {"split": 2},
    {"role": False},
    {"role_ms": 0, "empty": 2, "comments": 2},
    {"reasoning": 3},
    {"usage": "every"},
    {"usage": "always", "usage_lie": 2},
    {"done": False, "crlf": True},
    {"fault": "disconnect", "fault_at": 2},
    {"fault": "badjson", "fault_at": 2},
    {"fault": "error", "fault_at": 2},
]


def words(heard: Heard) -> list[Any]:
    """What an answer consists of, without ids and dates."""
    told: list[Any] = [heard.status, heard.complete]
    for event in heard.events():
        if not event.endswith(b"}"):
            told.append(event[-5:])
            continue
        chunk = json.loads(event)
        choices = [
            {k: v for k, v in one.items() if k in ("index", "delta", "text")} for one in chunk.get("choices", [])
        ]
        told.append((choices, (chunk.get("usage") or {}).get("completion_tokens"), "error" in chunk))
    return told


@pytest.mark.parametrize("knobs", KNOBS, ids=str)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_the_same_knobs_give_the_same_answer(truth: TruthServer, knobs: dict[str, Any], path: str) -> None:
    knobs = {"tokens": 7, "ttft_ms": 4, "itl_ms": 1, **knobs}
    with SimServer() as sim:
        ours = ask(sim.url, path=path, sim=knobs)
        (mine,) = sim.log
    theirs = ask(truth.url, path=path, truth=knobs)
    (row,) = truth.log()
    assert words(ours) == words(theirs)
    assert (mine["tokens"], mine["fault"], mine["status"]) == (row["tokens"], row["fault"], row["status"])
    # The truth server also logs the write of nothing before a fault: steps are compared, not their number.
    assert {tokens for _, _, tokens, _ in mine["w"]} == {tokens for _, _, tokens, _ in row["w"]}

"""Traces of coding agents: their calls as published, what waited for what, and bad ones in a line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otel_llm.errors import ConfigError
from otel_llm.load.traces.opening import open_trace
from otel_llm.sim import Behaviour, SimServer
from tests.load.conftest import Perf
from tests.load.test_traced_conversations import log_by_index
from tests.load.test_traces import SAMPLES

Run = Callable[..., Perf]
FOLDER = SAMPLES / "weka"
CALL = {"t": 0.0, "type": "n", "model": "m", "in": 100, "out": 5, "hash_ids": [1]}


def conversation(*requests: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "session", "models": ["m"], "block_size": 64, "requests": list(requests), **more}


def test_a_call_waits_for_what_was_over_when_it_began() -> None:
    trace = open_trace(FOLDER)
    assert trace.links is not None
    assert trace.sessions is not None
    assert trace.block_tokens == 64
    found = [
        (at_ns / 1e9, each.input_tokens, each.output_tokens, list(each.blocks))
        for at_ns, each in zip(trace.at_ns.tolist(), map(trace.asked, range(len(trace))), strict=True)
    ]
    assert found == [
        (0.0, 200, 20, [1, 2, 3]),
        (0.0, 130, 8, [10, 11]),  # ids are a conversation's own: these are others than those of the first
        (0.15, 70, 5, [4]),
        (0.16, 80, 6, [4]),
        (0.3, 140, 5, [4, 5]),
        (0.3, 200, 4, [10, 11, 12]),
        (0.5, 400, 10, [1, 2, 3, 6, 7, 8]),
    ]
    assert trace.sessions.tolist() == [0, 1, 0, 0, 0, 1, 0]
    assert [sorted(trace.links.of(row)) for row in range(7)] == [[], [], [0], [0], [2], [1], [3, 4]]
    assert trace.links.wait_ns is not None
    assert [round(ns / 1e9, 6) for ns in trace.links.wait_ns.tolist()] == [0, 0, 0.05, 0.06, 0.05, 0.2, 0.1]


def test_times_of_an_agent_count_from_its_start_or_from_the_conversation_s(tmp_path: Path) -> None:
    def times(first: float, second: float) -> list[float]:
        agent = {
            "t": 2.0, "type": "subagent", "agent_id": "a", "subagent_type": "Explore", "status": "completed",
            "requests": [{**CALL, "t": first}, {**CALL, "t": second}], "models": ["m"],
        }  # fmt: skip
        (tmp_path / "one.json").write_text(json.dumps(conversation(CALL, agent)))
        return [at / 1e9 for at in open_trace(tmp_path / "one.json").at_ns.tolist()]

    assert times(0.0, 1.5) == [0, 2, 3.5]
    assert times(2.0, 3.5) == [0, 2, 3.5]


def test_conversations_a_line_are_those_of_a_folder(tmp_path: Path) -> None:
    lines = [json.dumps(json.loads(file.read_text())) for file in sorted(FOLDER.iterdir())]
    (tmp_path / "all.jsonl").write_text("\n".join(lines) + "\n")
    one, other = open_trace(FOLDER), open_trace(tmp_path / "all.jsonl")
    assert one.blocks.tolist() == other.blocks.tolist()
    assert one.at_ns.tolist() == other.at_ns.tolist()


def test_agents_are_asked_side_by_side_and_waited_for(perf: Run) -> None:
    with SimServer(Behaviour(ttft_ms=20, itl_ms=1, cache_block=64)) as sim:
        run = perf("--url", sim.url, "--model", "m", "--trace", str(FOLDER), "--turns", "all")
        log = log_by_index(run, sim)
    assert run.code == 0, run.err
    assert len(log) == 7
    by_length = {(row["prompt_tokens"], row["tokens"]): row for row in log.values()}
    assert set(by_length) == {(200, 20), (130, 8), (70, 5), (80, 6), (140, 5), (200, 4), (400, 10)}
    last, agents = by_length[400, 10], [by_length[80, 6], by_length[140, 5]]
    assert all(row["end"] <= last["recv"] for row in agents)
    assert all(by_length[200, 20]["end"] <= row["recv"] for row in (by_length[70, 5], by_length[80, 6]))
    assert any("held as 2 conversations of 7 turns" in note for note in run.report["notes"])


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (conversation(CALL, {**CALL, "price": 2}), "unknown field `price`"),
        (conversation({**CALL, "in": "many"}), r"Expected `int`, got `str` - at `\$\[0\].requests\[0\].in`"),
        (conversation({**CALL, "in": -4}), "conversation 1 of .*one.json, session, got -4 and 5 tokens"),
        (conversation({**CALL, "in": 64, "hash_ids": [1, 2]}), "2 blocks of 64 tokens in a prompt of 64"),
        (conversation({**CALL, "type": "x"}), "Invalid value 'x'"),
        (conversation(CALL, hash_id_scope="global"), "Invalid enum value 'global'"),
        (conversation(), "expected requests with answers in .*, got 'none'"),
        (conversation(CALL, block_size=0), "blocks of 0 tokens"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, said: dict[str, Any], message: str) -> None:
    (tmp_path / "one.json").write_text(json.dumps(said))
    with pytest.raises(ConfigError, match=message) as error:
        open_trace(tmp_path / "one.json")
    assert "\n" not in str(error.value)


def test_conversations_of_one_trace_have_blocks_of_one_size(tmp_path: Path) -> None:
    lines = [json.dumps(conversation(CALL)), json.dumps(conversation(CALL, block_size=16, id="other"))]
    (tmp_path / "two.jsonl").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match=r"conversation 2 of .*two.jsonl, other, got .*blocks of 16 .* blocks of 64"):
        open_trace(tmp_path / "two.jsonl")

"""Traces as conversations and as agents' calls: a server's log says what waited for what, and what a turn carried."""

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.cli import main
from otel_llm.errors import ConfigError
from otel_llm.load.traces.call_order import Times, places_of
from otel_llm.load.traces.opening import open_trace
from otel_llm.load.traces.trace import Trace
from otel_llm.sim import Behaviour, SimServer
from otel_llm.sinks.stored_run import read_records
from tests.load.conftest import Perf
from tests.load.test_traces import SAMPLES, bodies

Run = Callable[..., Perf]
MS = 1_000_000


def chats(path: Path, number: int = 40) -> Trace:
    """Write chats of 1 to 5 turns, some of them asked anew from an earlier turn, and one whose history was cut."""
    draw, rows, block = random.Random(2), list[dict[str, Any]](), 1000
    for chat in range(number):
        said = list[dict[str, Any]]()
        for turn in range(draw.randint(1, 5) if chat else 3):
            parent = draw.choice(said[-2:]) if said else None
            cut = chat == 0 and turn == 1
            before = 0 if parent is None or cut else parent["input_length"] + parent["output_length"]
            length = before + draw.randint(20, 60)
            kept = parent["hash_ids"][: parent["input_length"] // 16] if parent and not cut else []
            new = list(range(block, block + -(-length // 16) - len(kept)))
            block += len(new)
            said.append({
                "chat_id": 100 * chat + turn, "parent_chat_id": parent["chat_id"] if parent else -1,
                "timestamp": round(chat * 0.02 + turn * 0.03, 3), "input_length": length,
                "output_length": draw.randint(2, 20), "type": "text", "turn": turn + 1, "hash_ids": kept + new,
            })  # fmt: skip
        rows += said
    rows.sort(key=lambda row: row["timestamp"])
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return open_trace(path)


def log_by_index(run: Perf, sim: SimServer) -> dict[int, dict[str, Any]]:
    """Return the server's log of each request, by its number."""
    rows = {row["traceparent"].split("-")[1]: row for row in sim.log}
    return {record.index or 0: rows[record.trace_id] for record in read_records(run.run_file)}


@pytest.mark.parametrize("more", [[], ["--parallel", "6", "--workers", "2"]])
def test_chats_of_bailian_are_conversations(perf: Run, tmp_path: Path, more: list[str]) -> None:
    """Each turn waits for its parent's answer, carries what was said, and is as long as the trace says."""
    trace = chats(tmp_path / "bailian.jsonl")
    with SimServer(Behaviour(ttft_ms=25, itl_ms=1, cache_block=16)) as sim:
        run = perf(
            "--url", sim.url, "--model", "m", "--trace", str(tmp_path / "bailian.jsonl"), "--turns", "all", *more
        )
        log = log_by_index(run, sim)
    assert run.code == 0, run.err
    asked = bodies(run)
    assert len(asked) == len(trace) == len(log)
    records = {record.index: record for record in read_records(run.run_file)}
    lengths = sorted((row["prompt_tokens"], row["tokens"]) for row in log.values())
    assert lengths == sorted(zip(trace.input_tokens.tolist(), trace.output_tokens.tolist(), strict=True))
    assert max(len(body["messages"]) for body in asked) == 9
    carried = 0
    for index, body in enumerate(asked):
        messages = body["messages"]
        assert [message["role"] for message in messages] == ["user", "assistant"] * (len(messages) // 2) + ["user"]
        if len(messages) > 1:
            before = next(each for each in range(index) if asked[each]["messages"] == messages[:-2])
            assert log[index]["recv"] >= log[before]["last_token"], "it waited for the answer"
            assert messages[-2]["content"] == " tok" * log[before]["tokens"], "the one that the server really gave"
            assert log[index]["cached_tokens"] >= log[before]["prompt_tokens"] // 16 * 16
            assert records[index].conversation_id == records[before].conversation_id
            carried += 1
    waiting = sum(len(trace.links.of(row)) for row in range(len(trace))) if trace.links else 0
    assert carried == waiting - 1, "the history of one was cut"
    assert any(
        "begun anew, as no prompt and answer before them fit into their prompts: 1" in n for n in run.report["notes"]
    )
    if not more:
        begins = sorted(record.intended_ns or 0 for record in records.values() if record.turn == 1)
        assert [(at - begins[0]) / 1e9 for at in begins] == pytest.approx([chat * 0.02 for chat in range(40)])


def test_a_turn_is_not_sent_before_its_time_in_the_trace(perf: Run) -> None:
    with SimServer(Behaviour()) as sim:
        to = ["--url", sim.url, "--model", "m", "--trace", str(SAMPLES / "bailian.jsonl"), "--turns", "all"]
        run, again = perf(*to), perf(*to, "--speedup", "2", "--workers", "2")
        first = {record.index: record for record in read_records(run.run_file)}
        faster = {record.index: record for record in read_records(again.run_file)}
    assert first[1].sent_ns - (first[0].intended_ns or 0) >= 0.25e9
    assert faster[1].sent_ns - (faster[0].intended_ns or 0) >= 0.125e9
    assert bodies(run) == bodies(again), "any worker asks the same"
    assert "held as 2 conversations of 3 turns" in run.out


def test_agents_run_side_by_side_and_are_waited_for(perf: Run) -> None:
    """In the server's log: a chief waits for two agents that overlap, one of two calls; tools take what they took."""
    with SimServer(Behaviour(ttft_ms=150, itl_ms=1)) as sim:
        run = perf("--url", sim.url, "--model", "m", "--trace", str(SAMPLES / "otlp_agents.jsonl"), "--turns", "all")
        log = log_by_index(run, sim)
    assert run.code == 0, run.err
    for session in (0, 5):
        chief, reads, critic, reads_on, joins = (log[session + turn] for turn in range(5))
        assert reads["recv"] >= chief["last_token"] + 30 * MS
        assert critic["recv"] >= chief["last_token"] + 31 * MS
        assert critic["recv"] < reads["last_token"], "side by side"
        assert reads_on["recv"] >= reads["last_token"] + 40 * MS, "a tool ran between"
        assert joins["recv"] >= max(reads_on["last_token"], critic["last_token"]) + 20 * MS
    asked = [[message["role"] for message in body["messages"]] for body in bodies(run)]
    alone, carries = ["user"], ["user", "assistant", "user"]
    assert asked == [alone, alone, alone, carries, carries] * 2
    contents = bodies(run)
    assert contents[4]["messages"][0] == contents[0]["messages"][0], "a chief carries on its own call, not an agent's"
    assert contents[3]["messages"][0] == contents[1]["messages"][0]


def agents_that_begin_at_once(path: Path) -> None:
    """Write two calls side by side, and one that waits for both."""
    spans = [
        {"traceId": "a", "spanId": name, "startTimeUnixNano": begin, "endTimeUnixNano": begin + 100,
         "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
                        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": 20}},
                        {"key": "gen_ai.usage.output_tokens", "value": {"intValue": 5}}]}
        for name, begin in (("x", 1000), ("y", 1050), ("z", 2000))
    ]  # fmt: skip
    path.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}))


def test_what_waited_for_two_that_failed_is_counted_once(perf: Run, tmp_path: Path) -> None:
    agents_that_begin_at_once(tmp_path / "agents.jsonl")
    with SimServer(Behaviour(fault="500")) as sim:
        run = perf("--url", sim.url, "--model", "m", "--trace", str(tmp_path / "agents.jsonl"), "--turns", "all")
    requests = run.report["requests"]
    assert (requests["planned"], requests["failed"], requests["skipped"]) == (3, 2, {"turn_failed": 1})


def test_fewer_turns_are_the_first_ones(perf: Run, tmp_path: Path) -> None:
    trace = chats(tmp_path / "trace", 12)
    assert trace.sessions is not None
    with SimServer(Behaviour()) as sim:
        run = perf("--url", sim.url, "--model", "m", "--trace", str(tmp_path / "trace"), "--turns", "2", "--rate", "-1")
    turns = Counter(record.turn for record in read_records(run.run_file))
    assert turns == {1: 12, 2: sum(count > 1 for count in Counter(trace.sessions.tolist()).values())}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["azure.csv", "--turns", "all"], "--turns with a trace that says which request waits for which"),
        (["bailian.jsonl", "--turns", "all", "--recorded-answers"], "either --trace or --recorded-answers, got 'both'"),
        (["bailian.jsonl", "--turns", "0"], "expected --turns N, uniform:A..B or all"),
    ],
)
def test_what_cannot_be_held_is_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    file, *more = arguments
    words = ["perf", "--url", "http://127.0.0.1:9/v1/chat/completions", "--model", "m", "--trace", str(SAMPLES / file)]
    assert main([*words, *more]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_a_chat_before_its_parent_is_no_trace(tmp_path: Path) -> None:
    lines = (SAMPLES / "bailian.jsonl").read_text().splitlines()
    first = json.dumps({**json.loads(lines[0]), "timestamp": 3})
    (tmp_path / "trace").write_text("\n".join([first, *lines[1:]]))
    with pytest.raises(
        ConfigError, match=r"rows of .* to wait for rows before them, got 'one at 0\.25 s that does not'"
    ):
        open_trace(tmp_path / "trace")


def test_a_part_of_a_trace_keeps_the_links_within_it(tmp_path: Path) -> None:
    trace = chats(tmp_path / "trace")
    assert trace.links is not None
    rows = np.arange(len(trace))[::2]
    part = trace.take(rows)
    assert part.links is not None
    for number, row in enumerate(rows.tolist()):
        kept = [rows.tolist().index(before) for before in trace.links.of(row) if before in rows]
        assert part.links.of(number) == kept
    agents = open_trace(SAMPLES / "otlp_agents.jsonl").faster(2)
    assert agents.links is not None
    assert agents.links.wait_ns is not None
    assert agents.links.wait_ns.tolist()[:6] == [0, 15 * MS, 15.5 * MS, 20 * MS, 0, 10 * MS]


# -- the order of calls ---------------------------------------------------------------------------------------------


def after(spans: dict[str, Times], calls: Sequence[str]) -> dict[str, set[str]]:
    return {call: set(place.after) for call, place in places_of(spans, calls).items()}


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 15)), min_size=1, max_size=12))
def test_calls_in_a_row_wait_for_the_last_that_were_over(times: list[tuple[int, int]]) -> None:
    """By definition: for those that were over, but for those that one of these waited for itself."""
    spans = {f"{i}": Times(begin, begin + took, None) for i, (begin, took) in enumerate(times)}
    over = {name: {o for o, other in spans.items() if other.over_ns <= own.began_ns} for name, own in spans.items()}
    found = after(spans, list(spans))
    assert found == {name: own - set().union(*(over[other] for other in own)) for name, own in over.items()}


def test_an_agent_s_calls_wait_for_none_of_another_beside_it() -> None:
    spans = {
        "chief": Times(0, 100, None), "plan": Times(0, 10, "chief"),
        "a": Times(20, 60, "chief"), "b": Times(21, 50, "chief", is_agent=True),
        "a1": Times(20, 30, "a"), "b1": Times(22, 28, "b"), "a2": Times(40, 60, "a"), "sum": Times(70, 90, "chief"),
    }  # fmt: skip
    calls = ["plan", "a1", "b1", "a2", "sum"]
    assert after(spans, calls) == {"plan": set(), "a1": {"plan"}, "b1": {"plan"}, "a2": {"a1"}, "sum": {"a2", "b1"}}
    agents = {call: place.agent for call, place in places_of(spans, calls).items()}
    assert agents == {"plan": None, "a1": "a", "a2": "a", "b1": "b", "sum": None}


def test_spans_in_a_circle_or_of_a_parent_that_is_missing_wait_for_none() -> None:
    spans = {"a": Times(0, 1, "b"), "b": Times(0, 9, "a"), "c": Times(5, 6, "gone"), "d": Times(8, 9, "gone")}
    assert after(spans, ["a", "c", "d"]) == {"a": set(), "c": set(), "d": {"c"}}

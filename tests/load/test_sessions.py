"""Conversations: each turn carries what was said before it, and the account of those that were not sent is whole."""

import asyncio
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm import conventions
from otel_llm.cli import main
from otel_llm.clock import now_ns
from otel_llm.entry_points import installed
from otel_llm.errors import ConfigError
from otel_llm.load.plan.conversations import Conversations, GivenConversation, Turn
from otel_llm.load.plan.leaving import Leaving, parse_leaving
from otel_llm.load.plan.mixture import parse_models
from otel_llm.load.plan.think_time import parse_think_time
from otel_llm.load.prompts.datasets import as_messages, open_dataset
from otel_llm.load.prompts.recorded import turns_of
from otel_llm.load.worker.pacing import Pacing
from otel_llm.load.worker.prepared import Prepared
from otel_llm.load.worker.raw import Raw
from otel_llm.load.worker.stock import Stock, deal
from otel_llm.measures import time_to_first_token
from otel_llm.record import TEXT
from otel_llm.sim import Behaviour, SimServer
from otel_llm.sinks.stored_run import read_records
from otel_llm.testing import RESET, OtlpReceiver, ScriptedServer
from otel_llm.testing.scripted import SeenRequest
from otel_llm.wire.discovery import load_protocol
from otel_llm.wire.protocol import Ask, Delta
from otel_llm.wire.repeats import Content
from otel_llm_plugins.openai_chat import OpenAIChat
from tests.load.conftest import Perf
from tests.load.test_dealing import NoPool
from tests.load.test_exchange import DONE, END, HEAD, PLAN, STOP, Wire, chunk

Run = Callable[..., Perf]


def says(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


class Talker(ScriptedServer):
    """Answers request number i with words of its own, and notes when it was about to say the last of them."""

    def __init__(self, fault: int | None = None, pause_s: float = 0.002) -> None:
        super().__init__([HEAD])
        self.answered: list[tuple[SeenRequest, str, int]] = []
        self._fault, self._pause_s = fault, pause_s
        self._played: dict[int, tuple[SeenRequest, str]] = {}

    def _script_for(self, request: SeenRequest) -> Sequence[Any]:
        with self._lock:
            number = len(self.requests)
            self.requests.append(request)
            answer = f"answer {number}, “{'so' * (number % 7)}”\n"
            words = [answer[i : i + 3] for i in range(0, len(answer), 3)]
            script: list[Any] = [HEAD, chunk(says(words[0])), self._pause_s]
            script += (
                [RESET] if number == self._fault else [*map(chunk, map(says, words[1:])), chunk(STOP + DONE) + END]
            )
            self._played[id(script)] = request, answer
            return script

    def _play(self, script: Sequence[Any], connection: Any) -> bool:
        if not super()._play(script[:-1], connection):
            return False
        with self._lock:
            self.answered.append((*self._played[id(script)], now_ns()))
        return super()._play(script[-1:], connection)


def talk(server: ScriptedServer, *more: str) -> list[str]:
    return [
        "--url", f"{server.url}/v1/chat/completions", "--model", "m", "--session-header", "X-Session-ID",
        "--log-every-n-query", "1000", *more,
    ]  # fmt: skip


def questions(folder: Path, count: int = 50) -> str:
    (folder / "questions.txt").write_text("".join(f"question {number}\n" for number in range(count)))
    return str(folder / "questions.txt")


@pytest.mark.parametrize(
    "loop", [["--parallel", "20"], ["--rate", "300", "--workers", "2"], ["--parallel", "7", "--workers", "3"]]
)
def test_every_turn_of_200_conversations_carries_all_that_was_said_before(
    perf: Run, tmp_path: Path, loop: list[str]
) -> None:
    """The server's log says so: the whole history in order, under one name, and no two turns of one at a time."""
    with Talker() as server:
        run = perf(*talk(server, "--dataset", questions(tmp_path), "--turns", "uniform:3..8", "-n", "200", *loop))
    assert run.code == 0, run.err
    held = defaultdict(list)
    for request, answer, ended_ns in server.answered:
        held[request.headers["x-session-id"]].append((request.seen_ns, ended_ns, json.loads(request.body), answer))
    assert len(held) == 200
    for turns in held.values():
        turns.sort(key=lambda turn: turn[0])
        assert 3 <= len(turns) <= 8
        assert len(turns[0][2]["messages"]) == 1
        for (_, ended_ns, before, answer), (seen_ns, _, after, _) in pairwise(turns):
            assert seen_ns > ended_ns
            *history, said, new = after["messages"]
            assert history == before["messages"]
            assert said == {"role": "assistant", "content": answer}
            assert new["role"] == "user"
    assert {len(turns) for turns in held.values()} == set(range(3, 9))
    records = list(read_records(run.run_file))
    assert sorted(record.index or 0 for record in records) == list(range(len(server.answered)))
    assert Counter(record.conversation_id for record in records) == {name: len(turns) for name, turns in held.items()}
    assert run.report["requests"]["planned"] == run.report["requests"]["succeeded"] == len(records)


class Router(ScriptedServer):
    """Tells the first of a conversation's requests, or every one, which server it was given to, as a router does."""

    def __init__(self, *, always: bool) -> None:
        super().__init__([HEAD])
        self._always = always

    def _script_for(self, request: SeenRequest) -> Sequence[Any]:
        with self._lock:
            number = len(self.requests)
            self.requests.append(request)
        known = request.headers.get("x-session-token")
        told = b"X-Session-Token: server-%d\r\n" % number if self._always or known is None else b""
        return [HEAD.replace(b"\r\n", b"\r\n" + told, 1), chunk(says("so")), chunk(STOP + DONE) + END]


@pytest.mark.parametrize("always", [False, True])
def test_what_an_answer_says_of_its_server_is_sent_back_with_the_turns_after_it(
    perf: Run, tmp_path: Path, always: bool
) -> None:
    with Router(always=always) as server:
        words = talk(server, "--dataset", questions(tmp_path), "--turns", "3", "-n", "4", "--parallel", "2")
        run = perf(*words, "--session-echo", "x-session-token")
    assert run.code == 0, run.err
    held = defaultdict(list)
    for number, request in enumerate(server.requests):
        held[request.headers["x-session-id"]].append((number, request.headers.get("x-session-token")))
    assert len(held) == 4
    for (first, none), (second, once), (_, twice) in held.values():
        assert (none, once) == (None, f"server-{first}")
        assert twice == f"server-{second if always else first}"


def test_cookies_are_sent_back_with_the_turns_after_them(perf: Run, tmp_path: Path) -> None:
    cookies = b"Set-Cookie: llm-d-session=bnMvcG9kLTE=; Path=/; HttpOnly\r\nSet-Cookie: seen=1; Path=/\r\n"
    with ScriptedServer(
        [HEAD.replace(b"\r\n", b"\r\n" + cookies, 1), chunk(says("so")), chunk(STOP + DONE) + END]
    ) as server:
        words = talk(server, "--dataset", questions(tmp_path), "--turns", "2", "-n", "2")
        run = perf(*words, "--session-echo", "Set-Cookie")
    assert run.code == 0, run.err
    back = "llm-d-session=bnMvcG9kLTE=; seen=1"
    assert [request.headers.get("cookie") for request in server.requests] == [None, back, None, back]


def conversations(*lengths: int) -> Conversations:
    ask = Ask(model="m", messages=as_messages("first"))
    return Conversations(
        tuple(
            GivenConversation(ask, tuple(Turn(as_messages(f"turn {turn}")) for turn in range(2, length + 1)))
            for length in lengths
        )
    )


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 40))
def test_requests_are_numbered_one_conversation_after_the_other(lengths: list[int], sessions: int) -> None:
    held = conversations(*lengths)
    numbers = [(session, turn) for session in range(sessions) for turn in range(lengths[session % len(lengths)])]
    assert [held.place(number) for number in range(len(numbers))] == numbers
    assert held.requests_before(sessions) == len(numbers)
    plan = replace(PLAN, requests=PLAN.requests * len(lengths), conversations=held, number=max(sessions, 1))
    for number, (session, turn) in enumerate(numbers):
        assert plan.waiting_for(number) == set(range(number + 1, number + lengths[session % len(lengths)] - turn))


@settings(max_examples=60)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 5), st.integers(1, 6), st.integers(1, 20))
def test_any_number_of_workers_holds_the_same_conversations(
    lengths: list[int], workers: int, places: int, number: int
) -> None:
    """Never more of them at once than there are places; in each, one turn at a time."""
    plan = replace(
        PLAN, requests=PLAN.requests * len(lengths), conversations=conversations(*lengths), number=number,
        workers=workers, parallel=places, ramp_s=0,
    )  # fmt: skip
    sent: list[int] = []
    under_way: Counter[int] = Counter()
    most = 0

    async def perform(prepared: Prepared, _connection: Any, due: int, _intended: int | None) -> tuple[None, Raw]:
        nonlocal most
        sent.append(prepared.index)
        under_way[prepared.session] += 1
        assert under_way[prepared.session] == 1
        most = max(most, under_way.total())
        for _ in range(3):
            await asyncio.sleep(0)
        under_way[prepared.session] -= 1
        content = Content()
        content.add([b'{"choices":[{"delta":{"content":"yes"}}]}'])
        return None, Raw(prepared.index, outcome="complete", ended_ns=due, content=content)

    async def run() -> None:
        pool: Any = NoPool()
        await asyncio.gather(*(Pacing(plan, share, pool, perform).run(0) for share in deal(plan)))

    asyncio.run(run())
    assert sorted(sent) == list(range(plan.planned))
    assert most <= places
    for before, after in pairwise(sorted(sent, key=plan.place)):
        if plan.place(before)[0] == plan.place(after)[0]:
            assert sent.index(before) < sent.index(after)


def test_each_turn_has_its_figures_wherever_they_are_read(perf: Run, tmp_path: Path) -> None:
    """The report's are those of the records of that turn; spans and JSON lines name conversation and turn."""
    with Talker() as server, OtlpReceiver() as back:
        run = perf(
            *talk(server, "--dataset", questions(tmp_path), "--turns", "uniform:2..4", "-n", "12", "--parallel", "3"),
            "--otlp-endpoint", back.http_endpoint, "--otlp-protocol", "http/protobuf", "--jsonl", "records.jsonl",
        )  # fmt: skip
    records = list(read_records(run.run_file))
    by_turn = run.report["by_turn"]
    assert [row["turn"] for row in by_turn] == [1, 2, 3, 4]
    for row in by_turn:
        first = [time_to_first_token(record) or 0 for record in records if record.turn == row["turn"]]
        assert row["requests"]["succeeded"] == row["measures"]["time_to_first_token"]["count"] == len(first)
        assert row["measures"]["time_to_first_token"]["p50"] == pytest.approx(np.percentile(first, 50))
    assert by_turn[0]["requests"]["succeeded"] == 12 > by_turn[3]["requests"]["succeeded"] > 0
    shown = run.out[run.out.index("turn  succeeded") :].splitlines()
    assert [line.split()[:2] for line in shown[1:5]] == [
        [str(row["turn"]), str(row["requests"]["succeeded"])] for row in by_turn
    ]
    expected = Counter((record.conversation_id, record.turn) for record in records)
    keys = conventions.CONVERSATION_ID, conventions.CONVERSATION_TURN
    assert Counter(tuple(span.attributes[key] for key in keys) for span in back.spans) == expected
    lines = [json.loads(line) for line in (run.folder / "records.jsonl").read_text().splitlines()]
    assert Counter((line["conversation_id"], line["turn"]) for line in lines) == expected
    db = sqlite3.connect(run.run_file)
    db.execute("UPDATE run SET summary = NULL")
    db.commit()
    db.close()
    assert main(["report", str(run.run_file), "--json", str(tmp_path / "again.json")]) == 0
    assert json.loads((tmp_path / "again.json").read_text())["by_turn"] == by_turn


def test_single_requests_are_no_conversations(perf: Run) -> None:
    with Talker() as server:
        run = perf(*talk(server, "--prompt", "hello", "-n", "2")[:4], "--prompt", "hello", "-n", "2")
    assert run.report["by_turn"] is None
    assert "turn  succeeded" not in run.out
    assert [(record.conversation_id, record.turn) for record in read_records(run.run_file)] == [(None, None)] * 2


def test_a_turn_that_fails_ends_its_conversation_and_what_follows_is_accounted_for(perf: Run, tmp_path: Path) -> None:
    with Talker(fault=3) as server:
        run = perf(*talk(server, "--dataset", questions(tmp_path), "--turns", "6", "-n", "4"))
    requests = run.report["requests"]
    assert requests == {
        "planned": 24, "sent": 22, "succeeded": 21, "failed": 1, "cancelled": 0, "closed_early": 0,
        "errors": {"disconnect": 1}, "skipped": {"turn_failed": 2},
    }  # fmt: skip
    assert "not sent  2 of 24: a turn before them failed 2" in run.out


def test_a_run_that_is_over_sends_no_further_turn(perf: Run, tmp_path: Path) -> None:
    with Talker() as server:
        run = perf(
            *talk(server, "--dataset", questions(tmp_path), "--turns", "3", "--think-time", "0.5"),
            "--rate", "20", "--duration", "0.8",
        )  # fmt: skip
    requests = run.report["requests"]
    assert run.code == 0, run.err
    assert requests["planned"] % 3 == 0
    assert requests["skipped"]["run_over"] == requests["planned"] - requests["succeeded"] > 0
    measures = run.report["measures"]
    assert measures["corrected_request_latency"]["count"] == measures["queue_delay"]["count"] == requests["planned"] / 3
    assert measures["corrected_request_latency"].get("infinite", 0) == 0


def test_a_user_thinks_between_an_answer_and_what_follows(perf: Run, tmp_path: Path) -> None:
    """Between turns, and in a closed loop between conversations too: who asks next sits in the same place."""
    with Talker() as server:
        arguments = talk(server, "--dataset", questions(tmp_path), "--think-time", "0.15", "-n", "3")
        run = perf(*arguments, "--turns", "2")
        single = perf(*arguments)
    for done, count in ((run, 6), (single, 3)):
        records = sorted(read_records(done.run_file), key=lambda record: record.index or 0)
        assert len(records) == count
        pauses = [(after.sent_ns - before.ended_ns) / 1e9 for before, after in pairwise(records)]
        assert min(pauses) >= 0.15
        assert all((record.due_ns or 0) <= record.sent_ns for record in records)
        lags = [(after.sent_ns - (after.due_ns or 0)) / 1e9 for after in records[1:]]
        assert min(lags) < 0.1, "thinking is no lateness of ours"


@pytest.mark.parametrize(
    ("text", "least", "mean", "most"),
    [("2", 2, 2, 2), ("uniform:1s..5000ms", 1, 3, 5), ("exponential:3", 0, 3, 40), ("0", 0, 0, 0)],
)
def test_think_times_follow_their_law(text: str, least: float, mean: float, most: float) -> None:
    times = [parse_think_time(text).draw_ns(7, request) / 1e9 for request in range(20_000)]
    assert sum(times) / len(times) == pytest.approx(mean, rel=0.03)
    assert least <= min(times)
    assert max(times) <= most


@pytest.mark.parametrize("text", ["-1", "x", "exponential:", "uniform:5..1", "normal:3", "inf", ""])
def test_a_think_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--think-time TIME, exponential:MEAN or uniform"):
        parse_think_time(text)


RECORDED = [
    {"from": "system", "value": "Be brief."},
    {"from": "human", "value": "One?"},
    {"from": "gpt", "value": "1"},
    {"from": "human", "value": "Two?"},
    {"from": "gpt", "value": "2"},
    {"from": "human", "value": "Three?"},
]
TOOLS = [
    {"role": "user", "content": "How warm is it?"},
    {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "t"}}]},
    {"role": "tool", "tool_call_id": "c1", "content": "21"},
    {"role": "assistant", "content": "21 °C."},
    {"role": "user", "content": "Thanks."},
]


def bodies(server: ScriptedServer) -> list[list[dict[str, Any]]]:
    return [json.loads(request.body)["messages"] for request in server.requests]


@pytest.mark.parametrize("recorded", [False, True])
def test_a_recorded_conversation_is_held_again(perf: Run, tmp_path: Path, recorded: bool) -> None:
    file = tmp_path / "sharegpt.json"
    file.write_text(json.dumps([{"conversations": RECORDED}]))
    with Talker() as server:
        run = perf(*talk(server, "--dataset", str(file), "--turns", "all"), *["--recorded-answers"] * recorded)
    assert run.code == 0, run.err
    last, answers = bodies(server)[-1], ["1", "2"] if recorded else [said for _, said, _ in server.answered[:2]]
    assert [message["role"] for message in last] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert [message["content"] for message in last] == ["Be brief.", "One?", answers[0], "Two?", answers[1], "Three?"]
    assert list(map(len, bodies(server))) == [2, 4, 6]


def test_a_tool_s_result_follows_the_call_that_was_recorded(perf: Run, tmp_path: Path) -> None:
    """A server refuses a result of a call that it does not see."""
    (tmp_path / "agent.jsonl").write_text(json.dumps({"messages": TOOLS}) + "\n")
    with Talker() as server:
        perf(*talk(server, "--dataset", str(tmp_path / "agent.jsonl"), "--turns", "all"))
    said = server.answered[1][1]
    assert bodies(server) == [TOOLS[:1], TOOLS[:3], [*TOOLS[:3], {"role": "assistant", "content": said}, TOOLS[4]]]


def test_fewer_turns_than_recorded_are_the_first_ones(perf: Run, tmp_path: Path) -> None:
    file = tmp_path / "sharegpt.json"
    file.write_text(json.dumps([{"conversations": RECORDED}]))
    with Talker() as server:
        perf(*talk(server, "--dataset", str(file), "--turns", "2", "-n", "2"))
        assert list(map(len, bodies(server))) == [2, 4, 2, 4]
        perf(*talk(server, "--dataset", str(file)))
    assert bodies(server)[-1] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "One?"}]


def test_the_turns_of_a_recorded_conversation_end_with_an_answer() -> None:
    def turns(*roles: str) -> list[list[str]]:
        return [[m["role"] for m in turn.messages] for turn in turns_of([{"role": role} for role in roles])]

    assert turns("user") == [["user"]]
    assert turns("system", "user", "assistant") == [["system", "user"]]
    assert turns("user", "assistant", "assistant", "user") == [["user"], ["assistant", "user"]]
    assert turns("user", "assistant", "assistant") == [["user"]]
    assert turns("user", "user", "assistant", "tool", "tool") == [["user", "user"], ["tool", "tool"]]


def test_a_prompt_is_a_turn_where_nothing_is_recorded(perf: Run, tmp_path: Path) -> None:
    with Talker() as server:
        run = perf(*talk(server, "--dataset", questions(tmp_path, 5), "--turns", "2"))
    assert run.report["requests"]["planned"] == 6  # three conversations: each of the five prompts was used
    said = [messages[-1]["content"] for messages in bodies(server)]
    assert said == [f"question {number}" for number in (0, 1, 2, 3, 4, 0)]


def test_each_turn_asks_for_its_own_lengths(perf: Run) -> None:
    """Of what is new in a turn, and of the answer to it."""
    with Talker() as server:
        lengths = ["--input-tokens", "uniform:5..9", "--output-tokens", "uniform:10..99", "--seed", "4"]
        run = perf(*talk(server, *lengths, "--turns", "4", "-n", "3"))
    assert run.code == 0, run.err
    sent = [json.loads(request.body) for request in server.requests]
    assert all(5 <= len(body["messages"][-1]["content"].split()) <= 9 for body in sent)
    assert len({body["messages"][-1]["content"] for body in sent}) == 12
    limits = [body["max_tokens"] for body in sent]
    assert len(set(limits)) > 6
    assert 10 <= min(limits) <= max(limits) <= 99
    assert run.report["lengths"]["output"]["asked"] == pytest.approx(sum(limits) / 12)
    assert run.report["lengths"]["input"] is None


def test_cache_bust_begins_each_conversation_differently_and_its_turns_alike(perf: Run) -> None:
    with Talker() as server:
        perf(*talk(server, "--prompt", "hello", "--turns", "3", "-n", "2", "--cache-bust"))
    firsts = [messages[0]["content"] for messages in bodies(server)]
    assert [len(set(firsts[:3])), len(set(firsts[3:])), len(set(firsts))] == [1, 1, 2]
    assert all("cache-bust" not in request.body.decode() for request in server.requests)


def test_turns_of_one_conversation_go_to_one_endpoint(perf: Run) -> None:
    with Talker() as one, Talker() as other:
        urls = [f"{server.url}/v1/chat/completions" for server in (one, other)]
        perf(*talk(one, "--prompt", "hello", "--turns", "3", "-n", "6", "--parallel", "3")[2:], "--url", *urls)
    named = [Counter(request.headers["x-session-id"] for request in server.requests) for server in (one, other)]
    assert [list(each.values()) for each in named] == [[3, 3, 3], [3, 3, 3]]
    assert not set(named[0]) & set(named[1])


def test_no_two_runs_name_a_conversation_alike(perf: Run) -> None:
    with Talker() as server:
        for _ in range(2):
            perf(*talk(server, "--prompt", "hello", "-n", "2", "--warmup", "2"))
    assert len({request.headers["x-session-id"] for request in server.requests}) == len(server.requests) == 8


@pytest.mark.parametrize("name", list(installed("otel_llm.protocols")))
def test_a_protocol_carries_a_conversation_or_says_in_one_line_that_it_cannot(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    protocol = load_protocol(name)
    if protocol.conversations:
        ask = Ask(model="m", messages=as_messages("the first question"))
        turn = Turn(as_messages("the second question"))
        body = protocol.encode(turn.after(ask, "the first answer")).body.decode()
        places = [body.find(text) for text in ("the first question", "the first answer", "the second question")]
        assert -1 not in places
        assert places == sorted(places)
    else:
        scheme = {"grpc": "grpc", "websocket": "ws"}.get(protocol.carriers[0], "http")
        url = f"{scheme}://127.0.0.1:9"
        asked_for = ["--url", url, "--protocol", name, "--model", "m", "--prompt", "x", "--turns", "2"]
        assert main(["perf", *asked_for]) == 2
        line = f"expected a protocol of conversations with --turns, got {name!r}; go without --turns"
        assert capsys.readouterr().err == f"otel-llm perf: {line}\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--prompt", "x", "--turns", "0"], "expected --turns N, uniform:A..B or all, from 1 to 10,000 turns, got '0'"),
        (["--prompt", "x", "--turns", "8..3"],
            "expected --turns N, uniform:A..B or all, from 1 to 10,000 turns, got '8..3'"),
        (["--prompt", "x", "--turns", "all"],
            "expected recorded conversations with --turns all, got 'prompts without answers'; give --turns N alone"),
        (["--prompt", "x", "--turns", "3", "--recorded-answers"],
            "expected recorded conversations with --recorded-answers, got 'prompts without answers'"),
        (["--prompt", "x", "--recorded-answers"],
            "expected --turns together with --recorded-answers, got '--recorded-answers alone'"),
        (["--prompt", "x", "--turns", "2", "--parser", "openai_prompt"],
            "expected either --parser or --turns, got '--parser openai_prompt --turns 2'"),
        (["--prompt", "x", "--rate", "2", "--think-time", "1"],
            "expected --think-time with --turns or --parallel, got '--rate 2 of single requests'"),
        (["--prompt", "x", "--session-header", "a b"], "expected --session-header to name an HTTP header, got 'a b'"),
        (["--prompt", "x", "--session-echo", "x-token"],
            "expected --session-echo with --turns, got 'single requests'"),
    ],
)  # fmt: skip
def test_what_cannot_be_held_is_said_in_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["perf", "--model", "m", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"otel-llm perf: {line}")
    assert said.count("\n") == 1


def thinks(text: str) -> bytes:
    return says(text).replace(b'"content"', b'"reasoning_content"')


@pytest.mark.parametrize(
    ("events", "answer"),
    [
        ([says("Hello"), says(" world"), says("!")], "Hello world!"),
        ([*[thinks(f" thought {i}") for i in range(20)], *[says(f" word{i}") for i in range(20)]],
            "".join(f" word{i}" for i in range(20))),
        ([says("a"), says("\n"), says('"'), says("é"), says("b")], 'a\n"éb'),
        ([], ""),
    ],
)  # fmt: skip
def test_what_an_answer_said_is_its_text_without_reasoning(events: list[bytes], answer: str) -> None:
    wire = Wire().read(HEAD, *map(chunk, events), chunk(STOP + DONE) + END)
    assert wire.record.ok
    assert wire.raw.content is not None
    assert wire.raw.content.answer(OpenAIChat) == answer


@pytest.mark.parametrize("loop", [["--parallel", "10"], ["--rate", "100"]])
def test_a_share_of_the_users_leaves_and_is_counted_apart(perf: Run, loop: list[str]) -> None:
    """The server saw who left, and only those; they are no failures, no answers, and in no objective's share."""
    with SimServer(Behaviour(ttft_ms=20, itl_ms=20, tokens=30)) as sim:  # 0.6 s
        run = perf(
            "--url", f"{sim.url}/v1/chat/completions", "--model", "m", "--prompt", "x", "-n", "100", *loop,
            "--cancel", "20%:200ms", "--slo", "latency=60", "--session-header", "X-Session-ID",
        )  # fmt: skip
        seen = sim.log
    assert run.code == 0, run.err
    requests, records = run.report["requests"], list(read_records(run.run_file))
    left = [record for record in records if record.outcome == "closed_early"]
    assert requests["closed_early"] == len(left) > 5
    assert requests["succeeded"] == 100 - len(left)
    assert requests["failed"] == requests["cancelled"] == 0
    assert min((record.ended_ns - record.sent_ns) / 1e9 for record in left) > 0.19
    assert all(record.error_type is None for record in left)
    gone = {row["session"] for row in seen if row["err"] == "the client went away"}
    assert gone == {record.conversation_id for record in left}
    for measure in ("request_latency", "time_to_first_token"):
        assert run.report["measures"][measure]["count"] == requests["succeeded"]
        assert "infinite" not in run.report["measures"][f"corrected_{measure}"]
    assert run.report["slo"]["terms"]["latency"]["attainment"] == 1
    assert run.report["slices"]["slices"][0]["failed"] == 0
    assert f"left early  {len(left)} of 100" in run.out
    assert run.report["cut_off"]["requests"] == len(left)


def test_who_leaves_depends_on_the_seed_alone() -> None:
    leaving = parse_leaving("5%:500ms")
    assert leaving == parse_leaving("0.05:0.5") == Leaving(0.05, 0.5)
    who = [[request for request in range(20_000) if leaving.takes(seed, request)] for seed in (1, 1, 2)]
    assert who[0] == who[1] != who[2]
    assert len(who[0]) == pytest.approx(1000, rel=0.1)
    assert all(parse_leaving("100%:1s").takes(0, request) for request in range(1000))


@pytest.mark.parametrize("text", ["5%", "0:1", "101%:1", "5%:0", "x:1", "5%:1x", "5%:", ""])
def test_a_share_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--cancel"):
        parse_leaving(text)


@pytest.mark.parametrize(
    "more", [[], ["--turns", "3"], ["--output-tokens", "uniform:5..9"], ["--cache-bust", "--workers", "2"]]
)
def test_several_models_are_asked_by_their_weights_and_told_apart(more: list[str], perf: Run) -> None:
    with Talker() as server:
        words = talk(server, "--prompt", "hello", "-n", "60", "--parallel", "5", *more)
        run = perf(*[word for word in words if word not in ("--model", "m")], "--model", "base=3", "a/b=1")
    assert run.code == 0, run.err
    turns = 3 if "--turns" in more else 1
    asked = Counter(json.loads(request.body)["model"] for request in server.requests)
    assert asked.total() == 60 * turns
    assert 30 * turns < asked["base"] < 56 * turns
    assert {row["model"]: row["requests"]["succeeded"] for row in run.report["by_model"]} == asked
    records = list(read_records(run.run_file))
    assert Counter(record.model for record in records) == asked
    for row in run.report["by_model"]:
        first = [time_to_first_token(record) or 0 for record in records if record.model == row["model"]]
        assert row["measures"]["time_to_first_token"]["p50"] == pytest.approx(np.percentile(first, 50))
    assert run.report["run"]["arguments"]["model"] == "base+a/b"
    named = defaultdict(set)
    for request in server.requests:
        named[request.headers["x-session-id"]].add(json.loads(request.body)["model"])
    assert all(len(models) == 1 for models in named.values())
    sent = {record.index: record.model for record in records}
    bodies_kept = sqlite3.connect(run.run_file).execute("SELECT request_index, request FROM result").fetchall()
    assert {index: json.loads(body)["model"] for index, body in bodies_kept} == sent


def test_models_are_drawn_by_their_weights() -> None:
    mixture = parse_models(["a=3", "b=1", "org/c=1=0.5"], seed=1)
    assert mixture is not None
    drawn = Counter(map(mixture.model, range(20_000)))
    for name, share in (("a", 3 / 4.5), ("b", 1 / 4.5), ("org/c=1", 0.5 / 4.5)):
        assert drawn[name] / 20_000 == pytest.approx(share, rel=0.05)
    assert parse_models(["org/c=1"], seed=1) is None


def test_adapters_are_drawn_by_zipf_s_law() -> None:
    mixture = parse_models(["zipf:1.2", *(f"adapter-{rank}" for rank in range(1, 33))], seed=3)
    assert mixture is not None
    drawn, all_weights = Counter(map(mixture.model, range(50_000))), sum(rank**-1.2 for rank in range(1, 33))
    for rank in (1, 2, 3, 8, 32):
        expected = 50_000 * rank**-1.2 / all_weights
        assert abs(drawn[f"adapter-{rank}"] - expected) < 4 * expected**0.5
    assert parse_models(["zipf:1.2"], seed=3) is None, "the name of a model"
    even = parse_models(["zipf:0", "a", "b"], seed=3)
    assert even is not None
    assert even.weights == (1, 1)


NO_WEIGHT = (
    "expected --model MODEL=WEIGHT for each of several models, with weights above 0, got 'a word without one'; "
    "quote what has spaces in it"
)


@pytest.mark.parametrize(
    ("models", "line"),
    [
        (["a=0", "b=1"], NO_WEIGHT),
        (["m", "sk-a-key"], NO_WEIGHT),
        (["m=1", "c2stYS1rZXk=="], NO_WEIGHT),
        (["zipf:x", "a", "b"], "expected --model zipf:S MODEL …, with S from 0 to 10, got 'zipf:x'"),
        (["zipf:-1", "a", "b"], "expected --model zipf:S MODEL …, with S from 0 to 10, got 'zipf:-1'"),
        (["zipf:1", "a", "sk-a-key", "a"], "expected --model to name each model once, got 'one of them twice'"),
        (["a=3", "a=1"], "expected --model to name each model once, got 'a=3 a=1'"),
    ],
)
def test_models_that_are_no_mixture_are_refused(models: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_models(models, seed=0)
    assert str(refused.value) == line


class Halves(OpenAIChat):
    """A plugin that reads JSON as Python does: what is cut in the middle of a character comes in halves."""

    def decode(self, event: bytes) -> Delta | None:
        return TEXT, json.loads(event)["choices"][0]["delta"]["content"], 0


def test_halves_of_a_character_are_put_together() -> None:
    content = Content()
    content.add([says(text)[6:-2] for text in ("\ud83d", "\ude00", " lone \ud83d")])
    assert content.answer(Halves) == "\U0001f600 lone \ufffd"


class Forgetful(OpenAIChat):
    """A plugin with a bug that shows in a later turn."""

    @classmethod
    def encode(cls, ask: Ask) -> Any:
        if any(message["content"] == "boom" for message in ask.messages):
            raise RuntimeError("no such message")
        return super().encode(ask)


def test_a_turn_that_a_plugin_cannot_encode_has_failed() -> None:
    plan = replace(PLAN, protocol=Forgetful, conversations=conversations(3))
    stock = Stock(plan, deal(plan)[0])
    first = stock.take()
    assert first is not None
    content = Content()
    content.add([b'{"choices":[{"delta":{"content":"boom"}}]}'])
    turn = stock.next_turn(first, 1, (first, Raw(0, outcome="complete", content=content)))
    assert (turn.index, turn.problem) == (1, "openai_chat could not encode turn 2: RuntimeError: no such message")


def test_sharegpt_s_rest_has_no_turns_of_tools(tmp_path: Path) -> None:
    said = [*RECORDED[1:3], {"from": "function_call", "value": "f()"}, {"from": "gpt", "value": " "}, *RECORDED[3:]]
    (tmp_path / "s.json").write_text(json.dumps([{"conversations": said}]))
    (prompt,) = open_dataset("sharegpt", tmp_path / "s.json")
    assert not isinstance(prompt, str)
    assert [[message["content"] for message in turn.messages] for turn in turns_of(prompt)] == [
        ["One?"], ["Two?"], ["Three?"],
    ]  # fmt: skip

"""What the log says was sent, against what a client of plain sockets saw; slots, leaving clients, slow clients.

Nothing here depends on how busy the machine is: a write may be late and never early, a byte is read after it was sent.
"""

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from otel_llm.clock import now_ns
from otel_llm.errors import ConfigError
from otel_llm.sim import Behaviour, SimServer
from otel_llm.wire import alarm
from otel_llm.wire.alarm import LoopAlarm, TimerfdAlarm
from otel_llm.wire.loop import new_loop
from tests.sim.plain_client import Client, ask


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until it holds; the test's own time limit ends what never does."""
    while not holds():
        threading.Event().wait(0.002)


def test_the_log_and_the_client_agree_on_every_chunk() -> None:
    with SimServer(Behaviour(ttft_ms=20, itl_ms=5, tokens=20, done=False)) as sim:
        heard = ask(sim.url)
        (row,) = sim.log
    assert heard.sent_ns < row["recv"] == row["start"] <= heard.head_ns
    assert row["recv"] + row["w"][-1][1] <= row["end"]
    assert len(heard.arrivals()) == row["events"] == 21
    for arrived, (began, _, _, _) in zip(heard.arrivals(), row["w"], strict=False):
        assert arrived > row["recv"] + began
    assert row["first_token"] == row["recv"] + row["w"][1][0]
    assert row["last_token"] == row["recv"] + row["w"][20][0]
    assert (row["tokens"], row["status"], row["fault"], row["err"]) == (20, 200, "", "")
    assert row["bytes"] > len(heard.body) > row["prompt_bytes"] > 0


def test_no_write_is_early_and_lateness_does_not_add_up() -> None:
    with SimServer(Behaviour(ttft_ms=10, itl_ms=2, jitter="exp", tokens=100)) as sim:
        ask(sim.url)
        (row,) = sim.log
    late = [began - due for (began, _, _, _), due in zip(row["w"], row["due"], strict=True)]
    assert min(late) >= 0
    assert sorted(late)[50] < 100 * 2_000_000 / 2  # the half way of a server that lost its time to each gap
    assert all(began <= done for began, done, _, _ in row["w"])
    assert all(a[1] <= b[0] for a, b in pairwise(row["w"]))


@pytest.mark.parametrize("make", [LoopAlarm, TimerfdAlarm])
def test_an_alarm_is_never_early(make: Any) -> None:
    loop, rang = new_loop(), []

    def ring() -> None:
        rang.append(now_ns())
        timer.set(None)
        loop.stop()

    timer = make(loop, ring)
    timer.set(now_ns() + 10**12)
    due = now_ns() + 3_300_000
    timer.set(due)
    loop.run_forever()
    timer.close()
    loop.close()
    assert len(rang) == 1
    assert rang[0] >= due


def test_a_timer_of_pythons_own_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(os, "timerfd_create"):  # there from 3.13 on
        libc = alarm._Libc()
        monkeypatch.setattr(os, "timerfd_create", libc.timerfd_create, raising=False)
        monkeypatch.setattr(os, "timerfd_settime_ns", libc.timerfd_settime_ns, raising=False)
    monkeypatch.delattr(alarm, "_Libc")
    test_an_alarm_is_never_early(alarm.TimerfdAlarm)


def test_the_same_seed_and_id_give_the_same_answer_on_any_server() -> None:
    behaviour = Behaviour(
        ttft_ms=3, itl_ms=1, jitter="lognormal", tokens=10, fault="disconnect", fault_at=4, fault_rate=0.5
    )

    def dues() -> list[list[int]]:
        with SimServer(behaviour) as sim:
            for i in range(8):
                ask(sim.url, headers={"x-request-id": f"r{i}"})
            return [row["due"] for row in sim.log]

    first = dues()
    assert first == dues()
    assert {len(due) for due in first} == {5, 12}


def test_ids_and_trace_headers_are_kept() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with SimServer(Behaviour(tokens=1)) as sim:
        heard = ask(sim.url, headers={"x-request-id": "mine", "traceparent": parent, "X-Session-ID": "s-1"})
        ask(sim.url)
        rows = sim.log
    assert heard.headers["x-request-id"] == "mine"
    assert [(row["id"], row["traceparent"], row["session"]) for row in rows] == [("mine", parent, "s-1"), ("1", "", "")]
    assert rows[0]["path"] == "/v1/chat/completions"
    assert rows[0]["remote"].startswith("127.0.0.1:")


def test_slots_make_the_others_wait_in_line() -> None:
    with SimServer(Behaviour(slots=2, ttft_ms=20, tokens=1)) as sim, ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: ask(sim.url), range(6)))
        rows, peak = sim.log, sim.stats().peak
    spans = sorted([(row["start"], 1) for row in rows] + [(row["recv"] + row["due"][-1], -1) for row in rows])
    running = 0
    for _, step in spans:
        running += step
        assert running <= 2
    assert len(rows) == 6
    assert peak > 2
    waited = [row for row in rows if row["start"] > row["recv"]]
    assert len(waited) >= 2
    assert all(row["first_token"] - row["start"] >= 20_000_000 for row in rows)
    assert all(row["due"][0] == row["start"] - row["recv"] + 20_000_000 for row in rows)


def test_a_line_is_as_long_as_that_of_a_queue_however_late_the_server_is() -> None:
    with SimServer(Behaviour(slots=1, ttft_ms=20, tokens=1)) as sim, ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: ask(sim.url), range(5)))
        rows = sorted(sim.log, key=lambda row: row["start"])
    free = 0
    for row in rows:
        assert row["start"] == max(row["recv"], free)
        free = row["start"] + 20_000_000
    assert sum(row["start"] > row["recv"] for row in rows) >= 2


def test_one_who_leaves_the_line_takes_no_slot() -> None:
    with SimServer(Behaviour(slots=1, tokens=1, role=False)) as sim:
        body = json.dumps({"stream": True, "sim": {"ttft_ms": 60_000}}).encode()
        with Client(sim.url) as holder:
            holder.send("POST", "/v1/chat/completions", body)
            eventually(lambda: sim.stats().inflight == 1)
            with Client(sim.url) as leaver:
                leaver.send("POST", "/v1/chat/completions", body)
                eventually(lambda: sim.stats().inflight == 2)
            eventually(lambda: sim.stats().inflight == 1)
        assert ask(sim.url).texts() == [" tok"]
        assert [row["err"] for row in sim.log] == ["the client went away"] * 2 + [""]


def test_a_client_that_goes_away_ends_its_stream() -> None:
    with SimServer(Behaviour(itl_ms=5, tokens=100_000)) as sim:
        with Client(sim.url) as client:
            client.send("POST", "/v1/chat/completions", b'{"stream":true}')
            client.socket.recv(1)
        eventually(lambda: sim.stats().inflight == 0)
        (row,) = sim.log
    assert row["err"] == "the client went away"
    assert row["tokens"] < 100_000


def test_a_client_that_reads_slowly_gets_every_byte() -> None:
    """20 MB are more than the sockets hold, so the server must wait for the client."""
    with SimServer(Behaviour(tokens=200, pad=100_000, header_ms=-1)) as sim, Client(sim.url) as client:
        client.send("POST", "/v1/chat/completions", b'{"stream":true}')
        eventually(lambda: sim.stats().inflight == 1)
        came = last = client.socket.recv(65536)
        total = len(came)
        while not last.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n"):
            came = client.socket.recv(65536)
            assert came
            last, total = (last + came)[-100:], total + len(came)
        (row,) = sim.log
    assert row["tokens"] == 200
    assert total == row["bytes"] > 20_000_000


def test_streams_without_pauses_take_turns() -> None:
    with SimServer(Behaviour(tokens=3000)) as sim, Client(sim.url) as one, Client(sim.url) as other:
        for client in (one, other):
            client.send("POST", "/v1/chat/completions", b'{"stream":true}')
        assert len(one.hear().texts()) == len(other.hear().texts()) == 3000
        a, b = sim.log
    assert max(a["start"], b["start"]) < min(a["end"], b["end"])


def test_counts_and_reset() -> None:
    with SimServer(Behaviour(tokens=3, role=False)) as sim:
        heard = ask(sim.url)
        stats = sim.stats()
        assert (stats.requests, stats.inflight, stats.peak, stats.tokens, stats.events) == (1, 0, 1, 3, 4)
        assert stats.bytes >= len(heard.body)
        with Client(sim.url) as client:
            assert json.loads(client.ask("GET", "/sim/stats").body)["tokens"] == 3
        sim.reset()
        assert (sim.log, sim.stats().requests) == ([], 0)


def test_a_server_leaves_nothing_behind_and_cuts_what_is_open() -> None:
    before = threading.active_count()
    with SimServer(Behaviour(ttft_ms=60_000)) as sim:
        client = Client(sim.url)
        client.send("POST", "/v1/chat/completions", b'{"stream":true}')
        eventually(lambda: sim.stats().inflight == 1)
    assert not client.hear().complete
    client.socket.close()
    assert threading.active_count() == before
    assert [row["err"] for row in sim.log] == ["the client went away"]
    with pytest.raises(OSError, match="refused"):
        Client(sim.url)


def test_a_port_that_is_taken_is_named() -> None:
    with (
        SimServer() as sim,
        pytest.raises(ConfigError, match=r"expected an address to listen on as 127.0.0.1:\d+, got"),
    ):
        SimServer(port=int(sim.url.rsplit(":", 1)[1])).__enter__()

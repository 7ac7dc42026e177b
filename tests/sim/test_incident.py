"""Incidents of the simulated server: each changes what it names, and ends."""

import threading
import urllib.error
import urllib.request

import orjson
import pytest

from otel_llm.cli import main
from otel_llm.sim import Behaviour, SimServer

ORDINARY = Behaviour(ttft_ms=20, itl_ms=2, tokens=6, slots=8, kv_cache=800, engine="vllm")


def post(url: str, body: bytes) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body)) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def ask(sim: SimServer, times: int) -> list[dict[str, object]]:
    """Ask so often at once; return the rows that this made."""
    body = orjson.dumps({"messages": [{"role": "user", "content": "hi"}], "stream": True})
    before = len(sim.log)
    asking = [
        threading.Thread(target=post, args=(f"{sim.url}/v1/chat/completions", body), daemon=True) for _ in range(times)
    ]
    for each in asking:
        each.start()
    for each in asking:
        each.join(30)
    return sim.log[before:]


def begin(sim: SimServer, incident: str) -> int:
    return post(f"{sim.url}/sim/incident", incident.encode())


def due(row: dict[str, object], name: str) -> float:
    """What was due, ms after the answer's start: no busy machine changes it."""
    moments = row["due"]
    assert isinstance(moments, list)
    assert isinstance(row["start"], int)
    assert isinstance(row["recv"], int)
    first, last = moments[0], moments[-1]
    return ((first - (row["start"] - row["recv"])) if name == "first" else last - first) / 1e6


def test_prefill_and_slow_replica_change_what_they_name_and_end() -> None:
    with SimServer(ORDINARY) as sim:
        found = {}
        for name in ("prefill", "slow-replica", "none"):
            assert begin(sim, name) == 200
            (row,) = ask(sim, 1)
            found[name] = (round(due(row, "first")), round(due(row, "gaps")))
    assert found == {"prefill": (500, 10), "slow-replica": (20, 250), "none": (20, 10)}


@pytest.mark.parametrize(("incident", "at_once"), [("queue", 2), ("kv", 4)])
def test_fewer_are_answered_at_a_time(incident: str, at_once: int) -> None:
    with SimServer(ORDINARY) as sim:
        begin(sim, incident)
        ask(sim, 8)
        rows = sorted(sim.log, key=lambda row: row["start"])
    # an answer is over when its last write was due, however late the process is
    spans = [(row["start"], row["recv"] + row["due"][-1]) for row in rows]
    overlapping = [sum(start <= at < end for start, end in spans) for at, _ in spans]
    assert max(overlapping) <= at_once


def test_errors_break_off_three_of_ten() -> None:
    with SimServer(ORDINARY) as sim:
        begin(sim, "errors")
        rows = [row for _ in range(4) for row in ask(sim, 20)]
    broken = [row for row in rows if row["fault"] == "error"]
    assert 10 <= len(broken) <= 38
    assert {row["tokens"] for row in broken} == {1}


def test_an_incident_begins_by_itself_after_its_time() -> None:
    with SimServer(Behaviour(ttft_ms=1, incident="errors", incident_after_s=3600)) as later:
        assert ask(later, 1)[0]["fault"] == ""
        assert begin(later, "nonsense") == 400
    with SimServer(Behaviour(incident="slow-replica", tokens=2)) as now:
        assert round(due(ask(now, 1)[0], "gaps")) == 50


def test_an_unknown_incident_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--incident", "flood"]) == 2
    assert "slow-replica for the knob incident, got 'flood'" in capsys.readouterr().err

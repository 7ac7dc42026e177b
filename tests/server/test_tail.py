"""What sets the slowest first tokens apart: found where it was put in, and not where nothing was."""

from array import array
from typing import Any

import msgspec
import numpy as np
import pytest

from otel_llm.load.figures.tail import FEWEST_SLOW, Tail
from otel_llm.load.show.server_table import tail_line
from otel_llm.measures import Facts, Floats
from otel_llm.record import TEXT, Chunks, ServerTimes, StreamRecord

MS = 1_000_000


def requests(first_ms: Floats, **columns: Any) -> list[Facts]:
    """Return requests sent 10 ms apart; columns: a value of a field of the record for each."""
    records = []
    for number, first in enumerate(first_ms):
        sent = number * 10 * MS
        at = sent + int(first * MS)
        chunks = Chunks(array("q", (at,)), array("I", (1,)), array("B", (TEXT,)), array("I", (9,)), array("I", (1,)))
        record = StreamRecord(stream=True, sent_ns=sent, ended_ns=at + MS, chunks=chunks)
        records.append(msgspec.structs.replace(record, **{name: values[number] for name, values in columns.items()}))
    return Facts.of(*records)


def report(facts: list[Facts]) -> dict[str, Any]:
    tail = Tail()
    tail.add(facts[: len(facts) // 3])
    tail.add(facts[len(facts) // 3 :])
    found = tail.report()
    assert found is not None
    return found


def test_the_fact_that_made_them_slow_is_first() -> None:
    random = np.random.default_rng(1)
    queue = random.exponential(20, 400)
    first = 30 + queue + random.normal(0, 1, 400)
    said = [ServerTimes(queue=each / 1e3) for each in queue]
    found = report(requests(first, server=said, input_tokens=random.integers(10, 99, 400).tolist()))
    assert (found["slow"], found["requests"]) == (20, 400)
    cause = found["causes"][0]
    assert (cause["fact"], cause["unit"]) == ("queue", "s")
    assert cause["odds"] > 0.95
    assert cause["slow"] > found["above"] - 0.04 > cause["others"]
    assert "prompt tokens" in found["facts"]
    assert "prompt tokens" not in {each["fact"] for each in found["causes"]}
    assert "differ from the others in queue (" in tail_line(found)


def test_of_two_endpoints_the_slow_one_is_named() -> None:
    random = np.random.default_rng(2)
    port = random.integers(8000, 8002, 600)
    first = random.normal(50, 2, 600) + 20 * (port == 8001) * (random.random(600) < 0.1)
    found = report(requests(first, server_address=["h"] * 600, server_port=port.tolist()))
    assert {"endpoint h:8000", "endpoint h:8001"} == {each["fact"] for each in found["causes"][:2]}
    odds = {each["fact"]: each["odds"] for each in found["causes"]}
    assert odds["endpoint h:8001"] > 0.7
    assert odds["endpoint h:8000"] == pytest.approx(1 - odds["endpoint h:8001"])


def test_where_nothing_tells_nothing_is_told() -> None:
    """By chance alone one run in twenty names a cause; that is what it says."""
    named = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        found = report(requests(random.lognormal(3, 0.3, 300), input_tokens=random.integers(10, 99, 300).tolist()))
        causes = [each["fact"] for each in found["causes"]]
        named += "prompt tokens" in causes
    assert named <= 8  # of 60; the 99.5th percentile of binomial(60, 1/20)


def test_facts_and_slowness_that_both_come_in_waves_are_no_cause() -> None:
    """Waves of which neither knows the other: shuffled, they would look like a cause most of the time."""
    named = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        waves = [np.convolve(random.normal(size=460), np.ones(60), "valid")[:400] for _ in range(2)]
        first, tokens = 100 + waves[0] + random.normal(0, 0.1, 400), (200 + waves[1]).astype(int)
        found = report(requests(first, input_tokens=tokens.tolist()))
        named += "prompt tokens" in {each["fact"] for each in found["causes"]}
    assert named <= 8


def test_of_few_slow_requests_nothing_is_said() -> None:
    tail = Tail()
    tail.add(requests(np.arange(1.0, 20 * FEWEST_SLOW - 19)))
    assert tail.report() is None
    same = Tail()
    same.add(requests(np.full(400, 20.0)))
    assert same.report() is None
    assert "cannot tell why" in tail_line(
        {"slow": 12, "above": 0.1, "chance": [0.4, 0.6], "facts": ["queue"], "causes": []}
    )

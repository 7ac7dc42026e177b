"""The knobs: how they are told, and what they refuse."""

import dataclasses
import inspect
from itertools import pairwise

import pytest

from otel_llm.errors import ConfigError
from otel_llm.sim import Behaviour
from otel_llm.sim.schedule import draw_fault, token_times


def first(count: int, behaviour: Behaviour, request_id: str = "a") -> list[int]:
    times = token_times(behaviour, request_id)
    return [next(times) for _ in range(count)]


def test_a_text_of_knobs_changes_what_it_names_and_keeps_the_rest() -> None:
    base = Behaviour(seed=7)
    told = base.with_text("ttft_ms=200, itl_ms=20;role=off,text=%20a%2Cb,fault=429,tokens=3")
    assert told == Behaviour(seed=7, ttft_ms=200, itl_ms=20, role=False, text=" a,b", fault="429", tokens=3)
    assert base.with_text("") is base


@pytest.mark.parametrize("said", ["on", "true", "1", "True"])
def test_flags_are_on_or_off(said: str) -> None:
    assert Behaviour(done=False).with_text(f"done={said}").done


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("speed=1", "expected the name of a knob, got 'speed'; see"),
        ("ttft_ms=fast", "expected a number for the knob ttft_ms, got 'fast'; see"),
        ("ttft_ms=-1", "expected a number of at least 0 for the knob ttft_ms, got -1.0; see"),
        ("ttft_ms=inf", "expected a number of at least 0 for the knob ttft_ms, got inf; see"),
        ("role_ms=nan", "for the knob role_ms, got nan"),
        ("tokens=1.5", "expected a whole number for the knob tokens, got '1.5'; see"),
        ("tok_per_event=0", "expected a number of at least 1 for the knob tok_per_event, got 0; see"),
        ("done=maybe", "expected on or off for the knob done, got 'maybe'; see"),
        ("jitter=big", "expected one of none, uniform, exp, lognormal for the knob jitter, got 'big'"),
        ("usage=some", "for the knob usage, got 'some'"),
        ("fault=418", "for the knob fault, got '418'"),
    ],
)
def test_what_is_no_knob_or_no_value_is_refused_with_the_name(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Behaviour().with_text(text)
    assert says in str(caught.value)


def test_every_knob_is_explained() -> None:
    doc = inspect.getdoc(Behaviour) or ""
    assert [f.name for f in dataclasses.fields(Behaviour) if f.name not in doc] == []


def test_without_jitter_the_schedule_is_exact_and_does_not_drift() -> None:
    times = token_times(Behaviour(ttft_ms=200, itl_ms=20), "a")
    assert [next(times) for _ in range(3)] == [200_000_000, 220_000_000, 240_000_000]
    assert [next(times) for _ in range(10_000)][-1] == 200_000_000 + 10_002 * 20_000_000


@pytest.mark.parametrize("jitter", ["uniform", "exp", "lognormal"])
def test_jitter_keeps_the_mean_and_never_goes_back(jitter: str) -> None:
    """20 000 gaps of 10 ms: the mean's standard error is at most 0.7 %, the tolerance five of them."""
    times = first(20_001, Behaviour(ttft_ms=10, itl_ms=10, jitter=jitter, amp=0.5))
    gaps = [b - a for a, b in pairwise(times)]
    assert min(gaps) >= 0
    assert sum(gaps) / len(gaps) == pytest.approx(10e6, rel=0.035)
    assert len(set(gaps)) > 10_000


def test_uniform_jitter_stays_within_its_amplitude() -> None:
    times = first(1000, Behaviour(itl_ms=10, jitter="uniform", amp=0.2))
    assert all(7_999_999 <= b - a <= 12_000_001 for a, b in pairwise(times))


def test_seed_and_id_decide_the_schedule() -> None:
    jittery = Behaviour(ttft_ms=10, itl_ms=10, jitter="exp")
    assert first(50, jittery, "a") == first(50, jittery, "a")
    assert first(50, jittery, "a") != first(50, jittery, "b")
    assert first(50, jittery, "a") != first(50, dataclasses.replace(jittery, seed=2), "a")


def test_the_fault_rate_is_the_share_of_ids_that_fail() -> None:
    """1000 ids at 0.3: a standard deviation of 14.5, the tolerance four of them."""
    behaviour = Behaviour(fault="disconnect", fault_rate=0.3)
    hit = [draw_fault(behaviour, str(i)) for i in range(1000)]
    assert hit.count("disconnect") == pytest.approx(300, abs=58)
    assert hit == [draw_fault(behaviour, str(i)) for i in range(1000)]
    assert draw_fault(Behaviour(fault="429"), "x") == "429"
    assert draw_fault(Behaviour(fault="429", fault_rate=0), "x") == ""


@pytest.mark.parametrize("knob", ["fault", "times", "engine", "incident", "jitter"])
def test_none_is_a_value_where_the_help_says_so(knob: str) -> None:
    assert Behaviour().with_text(f"{knob}=none") == Behaviour()

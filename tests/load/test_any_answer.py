"""Answers as no server should send them raise nothing and lose no request. `benchmarks.any_answer` tries more."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import any_answer
from benchmarks.any_answer import run_round


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=False))
def test_whatever_comes_every_request_is_accounted_for(random: Random, tmp_path: Path) -> None:
    run_round(random, tmp_path, number=3)


def test_the_answers_are_neither_all_good_nor_all_broken(tmp_path: Path) -> None:
    calls = [call for seed in range(150, 190) for call in run_round(Random(seed), tmp_path).calls]
    good = sum(call.record.ok for call in calls)
    flags = {flag for call in calls for flag in call.record.flags}
    assert 0.1 * len(calls) < good < 0.9 * len(calls)
    assert {"malformed", "usage_refused", "whole_answer"} <= flags


def test_frames_of_any_kind_lose_no_request_and_fail_in_more_ways_than_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(any_answer, "SOCKETS", 1.0)
    calls = [call.record for seed in range(60) for call in run_round(Random(seed), tmp_path).calls]
    kinds = {record.error_type for record in calls}
    assert {"bad_websocket", "disconnect", "bad_event"} <= kinds
    assert any(kind and kind.startswith("close_") for kind in kinds)
    assert 0.1 * len(calls) < sum(record.ok for record in calls) < 0.9 * len(calls)


def test_a_round_that_fails_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otel_llm.load.worker.exchange.Exchange._note", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_round(Random(0), tmp_path)

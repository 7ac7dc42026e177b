"""Workers as processes of this machine: who waits for whom at a core, and what a worker inherits."""

import gc
import os
from pathlib import Path
from typing import Any

import pytest

from otel_llm.cli import main
from otel_llm.load.coordinator import local
from otel_llm.load.coordinator.coordinator import Coordinator
from otel_llm.load.coordinator.giving_way import giving_way
from otel_llm.sim import SimServer

pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux alone has this policy")


def words(sim: SimServer) -> tuple[str, ...]:
    return "--url", f"{sim.url}/v1/chat/completions", "--model", "m", "--prompt", "x", "-n", "2"


def test_a_thread_gives_way_for_as_long_as_it_is_said() -> None:
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    with giving_way():
        assert os.sched_getscheduler(0) == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_another_policy_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: os.SCHED_FIFO)
    monkeypatch.setattr(os, "sched_setscheduler", lambda *_: pytest.fail("it was changed"))
    with giving_way():
        pass


@pytest.mark.parametrize("refused", ["sched_getscheduler", "sched_setscheduler"])
def test_nothing_is_raised_where_it_is_not_allowed(refused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, refused, refuse)
    with giving_way():
        pass


def test_in_a_run_the_coordinator_gives_way_and_its_workers_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, policies = tmp_path / "policy", list[int]()
    work, run = local.work, Coordinator.run

    def noted_work(*arguments: Any) -> None:
        note.write_text(str(os.sched_getscheduler(0)))
        work(*arguments)

    def noted_run(self: Coordinator, *arguments: Any) -> Any:
        policies.append(os.sched_getscheduler(0))
        return run(self, *arguments)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(local, "work", noted_work)
    monkeypatch.setattr(Coordinator, "run", noted_run)
    with SimServer() as sim:
        assert (
            main(["perf", "--url", f"{sim.url}/v1/chat/completions", "--model", "m", "--prompt", "x", "-n", "2"]) == 0
        )
    assert int(note.read_text()) == os.SCHED_OTHER
    assert policies == [os.SCHED_BATCH]
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_worker_finalizes_nothing_that_its_parent_left_lying_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, finalized = os.getpid(), tmp_path / "finalized"

    class Left:
        """Refers to itself, so that only a collection finds it; its finalizer needs what only the parent has."""

        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            if os.getpid() != parent:
                finalized.touch()

    monkeypatch.chdir(tmp_path)
    gc.disable()
    try:
        Left()
        with SimServer() as sim:
            assert main(["perf", *words(sim), "--warmup", "1"]) == 0
    finally:
        gc.enable()
    assert not finalized.exists()

"""Short turns at a core: asked for where the system has them, and nothing else where it has not."""

import ctypes
import os
import platform
import threading
from typing import Any

import pytest

from otel_llm.wire import turns
from otel_llm.wire.turns import take_short_turns

pytestmark = pytest.mark.skipif(platform.system() != "Linux" or not turns._GET, reason="needs Linux, x86-64 or ARM")

BETTER = tuple(map(int, platform.release().split("-")[0].split(".")[:2])) >= (6, 12) if os.name == "posix" else False


def attributes() -> tuple[int, ...]:
    """What the kernel says of this thread."""
    found = ctypes.create_string_buffer(turns._ATTRIBUTES.size)
    assert ctypes.CDLL(None).syscall(turns._GET, 0, found, turns._ATTRIBUTES.size, 0) == 0
    return turns._ATTRIBUTES.unpack(found.raw)


def in_thread(do: Any) -> list[Any]:
    """Run it in a thread of its own, so that this one keeps its turns."""
    found = list[Any]()
    thread = threading.Thread(target=lambda: found.extend(do()))
    thread.start()
    thread.join()
    return found


def test_a_turn_becomes_a_tenth_of_a_millisecond_and_all_else_stays() -> None:
    def ask() -> list[tuple[int, ...]]:
        before = attributes()
        take_short_turns()
        return [before, attributes()]

    before, after = in_thread(ask)
    assert after[5] == (100_000 if BETTER else before[5])
    assert (*after[:5], *after[6:]) == (*before[:5], *before[6:])


def test_another_policy_is_left_as_it_is() -> None:
    def ask() -> list[tuple[int, ...]]:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        before = attributes()
        take_short_turns()
        return [before, attributes()]

    before, after = in_thread(ask)
    assert before == after


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_nothing_is_raised_where_there_is_no_such_call(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> None:
        raise error

    monkeypatch.setattr(ctypes, "CDLL", missing)
    take_short_turns()

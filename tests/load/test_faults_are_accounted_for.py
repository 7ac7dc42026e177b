"""2,000 requests, 5 % of each kind of fault: everything is accounted for, and nothing is left behind."""

import asyncio
import gc
import math
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from otel_llm.clock import now_ns
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.plan.share import Share
from otel_llm.load.plan.stages import Stages
from otel_llm.load.prompts.parsers import Source, open_parser
from otel_llm.load.worker.channel import GO, Batch, Inbox, LastWord, Ready
from otel_llm.load.worker.raw import Raw
from otel_llm.load.worker.worker import _Worker
from otel_llm.sinks.stored_run import read_records
from otel_llm.wire.loop import new_loop
from otel_llm.wire.protocol import WireRequest, json_body
from otel_llm.wire.target import Target
from otel_llm_plugins.openai_chat import OpenAIChat
from tests.load.conftest import Perf
from tests.load.test_perf import chat, wait_until
from tests.truthserver.process import TruthServer

PARSER = str(Path(__file__).parent / "parser_of_faults.py")
EACH = 100
KINDS = {"429": EACH, "500": EACH, "503": EACH, "disconnect": EACH, "read_timeout": EACH, "bad_event": EACH}
KINDS["stream_error"] = EACH


@pytest.mark.timeout(180)
@pytest.mark.parametrize("loop", [["--parallel", "50"], ["--rate", "300"]])
def test_2000_requests_are_all_accounted_for(perf: Callable[..., Perf], truth: TruthServer, loop: list[str]) -> None:
    """S4.43: no hang, no socket, no memory that grows"""
    began = time.monotonic()
    run = perf.start(  # type: ignore[attr-defined]
        *chat(truth), "-n", "2000", "--parser", PARSER, "--read-timeout", "0.4", "--log-every-n-query", "500", *loop
    )  # fmt: skip
    assert run.process is not None
    seen: list[tuple[int, int]] = []
    while run.process.poll() is None:
        try:
            (worker,) = psutil.Process(run.process.pid).children()
            seen.append((worker.num_fds(), worker.memory_info().rss))
        except (ValueError, psutil.Error):
            pass
        time.sleep(0.1)
    run.wait()
    assert run.code == 1, run.err
    assert time.monotonic() - began < 60
    requests = run.report["requests"]
    assert requests["errors"] == KINDS
    assert requests == {
        "planned": 2000, "sent": 2000, "succeeded": 1300, "failed": 700, "cancelled": 0, "closed_early": 0,
        "errors": KINDS, "skipped": {},
    }  # fmt: skip
    records = list(read_records(run.run_file))
    assert sorted(record.index or 0 for record in records) == list(range(2000))
    assert Counter(record.error_type for record in records if not record.ok) == KINDS
    assert truth.stats()["requests"] == 2000
    wait_until(lambda: truth.stats()["inflight"] == 0)  # it sleeps on in a stall that nobody waits for any more
    most = 50 if "--parallel" in loop else 300  # an open loop has under way what the server leaves it
    assert max(fds for fds, _ in seen) < most + 60
    halfway = seen[len(seen) // 2][1]
    assert max(rss for _, rss in seen) - halfway < 40e6


def test_a_worker_leaves_no_task_no_socket_and_nothing_for_the_collector(truth: TruthServer) -> None:
    bodies = open_parser(PARSER, Source(model="m", prompt="x")).bodies()
    plan = LoadPlan(
        target=Target.parse(f"{truth.url}/v1/chat/completions"),
        protocol=OpenAIChat, model="m", number=400, parallel=25, read_timeout_s=0.4,
        requests=tuple(WireRequest(json_body(body, {})) for body in bodies),
    )  # fmt: skip
    near, far = socket.socketpair()
    finished: list[Raw] = []
    listening = threading.Thread(target=coordinate, args=(near, finished))
    gc.collect()
    files = len(list(Path("/proc/self/fd").iterdir()))
    left: list[int] = []

    async def go() -> None:
        await _Worker(plan, Share(0, 1)).run(far)
        left.append(len(asyncio.all_tasks()) - 1)
        gc.unfreeze()
        left.append(gc.collect())

    listening.start()
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(go())
    finally:
        gc.enable()
        gc.unfreeze()
        near.close()
        listening.join()
    assert len(finished) == 400
    assert left[0] == 0
    assert left[1] < 400, "cyclic garbage per request: the collector is off while a run lasts"
    assert len(list(Path("/proc/self/fd").iterdir())) <= files


@pytest.mark.filterwarnings("error::RuntimeWarning", "error::pytest.PytestUnraisableExceptionWarning")
def test_a_request_that_is_sent_in_the_turn_in_which_all_is_stopped_is_accounted_for(truth: TruthServer) -> None:
    url = f"{truth.url}/x/ttft_ms=60000/v1/chat/completions"
    plan = LoadPlan(
        target=Target.parse(url), protocol=OpenAIChat, model="m", number=3, rate=Stages.steady(math.inf),
        requests=(WireRequest(json_body({"messages": []}, {})),),
    )  # fmt: skip
    near, far = socket.socketpair()
    finished: list[Raw] = []
    listening = threading.Thread(target=coordinate, args=(near, finished))

    class Stopped(_Worker):
        """Is told to stop as soon as it has sent, before the task of that request has had a turn."""

        def perform(self, *arguments: Any) -> Any:
            answer = super().perform(*arguments)
            if self.sent == self.plan.number:
                self.loop.call_soon(self.word, b"s")
            return answer

    listening.start()
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(Stopped(plan, Share(0, 1)).run(far))
    finally:
        gc.enable()
        gc.unfreeze()
        near.close()
        listening.join()
    assert sorted((raw.index, raw.outcome) for raw in finished) == [(i, "cancelled") for i in range(3)]


def coordinate(sock: socket.socket, finished: list[Raw]) -> None:
    """Give the start, and take what comes until the worker has said its last word."""
    inbox = Inbox()
    while data := sock.recv(1 << 20):
        for message in inbox.feed(data):
            if isinstance(message, Ready):
                sock.sendall(GO + (now_ns() + 1_000_000).to_bytes(8, "big"))
            elif isinstance(message, Batch):
                finished += message.ended
            elif isinstance(message, LastWord):
                return

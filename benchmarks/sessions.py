"""What a turn of a conversation costs its worker beside a single request: µs of CPU.

    python -m benchmarks.sessions

First the preparing of turns alone: the text of the answer before, the history, its JSON, the request. Then whole runs
against the simulator, the same number of requests of the same answers, singly and in conversations; these take turns,
and the difference of the least of each is shown.
"""

import contextlib
import io
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import msgspec

from otel_llm.cli import main
from otel_llm.load.plan.conversations import Conversations, GivenConversation, Turn
from otel_llm.load.plan.share import Share
from otel_llm.load.worker.exchange import Exchange
from otel_llm.load.worker.raw import Raw
from otel_llm.load.worker.stock import Stock
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.wire.arrivals import Arrivals
from otel_llm.wire.connection import note_reads
from otel_llm.wire.protocol import Ask, Protocol
from otel_llm.wire.repeats import Content
from otel_llm_plugins.ollama_chat import OllamaChat
from otel_llm_plugins.openai_chat import OpenAIChat
from tests.load.test_exchange import DONE, END, HEAD, PLAN, STOP, chunk

TURNS, ROUNDS = 8, 60
QUESTION = {"role": "user", "content": "And what would you do with it in winter, when the river is frozen? " * 3}


def answered(plugin: type[Protocol], tokens: int) -> Raw:
    """Return the notes of an answer of so many tokens."""
    raw, arrivals = Raw(0, content=Content()), Arrivals()
    exchange = Exchange(raw, plugin(), lambda: None)
    if plugin is OpenAIChat:
        texts = [b'data: {"id":"a","choices":[{"index":0,"delta":{"content":" word"}}]}\n\n'] * tokens
        reads = [HEAD + chunk(texts[0]), *map(chunk, texts[1:]), chunk(STOP + DONE) + END]
    else:
        line = {"model": "m", "message": {"role": "assistant", "content": " word"}, "done": False}
        lines = [msgspec.json.encode(line) + b"\n"] * tokens
        over = msgspec.json.encode({**line, "done": True, "done_reason": "stop"}) + b"\n"
        head = HEAD.replace(b"text/event-stream", b"application/x-ndjson")
        reads = [head, *map(chunk, lines), chunk(over) + END]
    for start in range(0, len(reads), 16):
        part = reads[start : start + 16]
        for _ in part:
            note_reads(arrivals, (arrivals.count + 1,))
        exchange.received(part, arrivals)
    assert raw.outcome == "complete", raw.error_message
    return raw


def preparing(plugin: type[Protocol], tokens: int) -> list[float]:
    """Return the least µs that each turn after the first took."""
    ask = Ask(model="m", messages=(QUESTION,))
    held = Conversations((GivenConversation(ask, (Turn((QUESTION,)),) * (TURNS - 1)),))
    plan = replace(PLAN, protocol=plugin, requests=(plugin.encode(ask),), conversations=held, number=ROUNDS)
    stock, raw = Stock(plan, Share(0, 1)), answered(plugin, tokens)
    least = [float("inf")] * (TURNS - 1)
    for _ in range(ROUNDS):
        first = turn = stock.take()
        assert first is not None and turn is not None  # noqa: PT018
        for number in range(TURNS - 1):
            before = time.thread_time_ns()
            turn = stock.next_turn(first, number + 1, (turn, raw))
            least[number] = min(least[number], (time.thread_time_ns() - before) / 1e3)
    return least


def worker_us(url: str, *arguments: str) -> float:
    """Return the CPU of the worker of one run, µs a request."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        words = ["--url", url, "--model", "m", "--prompt", QUESTION["content"], "--parallel", "20", *arguments]
        with contextlib.redirect_stdout(io.StringIO()):
            main(["perf", *words, "--log-every-n-query", "100000", "--name", f"{folder}/r.db", "--json", str(report)])
        found = msgspec.json.decode(report.read_bytes())
    return float(found["client"]["cpu_seconds"]) / float(found["requests"]["succeeded"]) * 1e6


def whole_runs(tokens: int, requests: int = 2000) -> tuple[float, float]:
    single, turns = float("inf"), float("inf")
    with SimProcess(Behaviour(ttft_ms=5, itl_ms=1, tokens=tokens)) as sim:
        url = f"{sim.url}/v1/chat/completions"
        for _ in range(4):
            single = min(single, worker_us(url, "-n", str(requests)))
            turns = min(
                turns, worker_us(url, "-n", str(requests // 5), "--turns", "5", "--session-header", "X-Session-ID")
            )
    return single, turns


if __name__ == "__main__":
    for plugin in (OpenAIChat, OllamaChat):
        for tokens in (16, 64, 256, 1024):
            each = preparing(plugin, tokens)
            print(
                f"{plugin.name}, answers of {tokens} tokens: turn 2 takes {each[0]:.0f} µs, turn {TURNS} {each[-1]:.0f}"
            )
    for tokens in (16, 64):
        single, turns = whole_runs(tokens)
        print(f"worker, {tokens} tokens: a single request {single:.0f} µs, a turn {turns:.0f}: {turns - single:+.0f}")

"""The options of `otel-llm sim`, and what it runs until it is told to stop."""

import argparse
import asyncio
import contextlib
import gc
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from otel_llm.errors import ConfigError
from otel_llm.sim.behaviour import FAULTS, JITTERS, USAGES, Behaviour, option
from otel_llm.sim.server import Listening
from otel_llm.sim.truth import TruthLog
from otel_llm.wire.loop import new_loop

__all__ = ["add_arguments", "main", "run"]

_HELP = {
    "ttft_ms": "time to the first token",
    "itl_ms": "time from each token to the next; with --ttft-ms 0 too: as fast as can be",
    "jitter": "of both times: " + ", ".join(JITTERS),
    "amp": "size of the jitter: half width of uniform, sigma of lognormal",
    "seed": "of jitter and faults",
    "tokens": "tokens of an answer; 0: what the request allows, else 16",
    "text": "of one token",
    "tok_per_event": "tokens in one event",
    "ev_per_write": "events in one write",
    "split": "or writes that each is cut into",
    "split_gap_ms": "pause between those",
    "role": "on or off: a chunk with the role alone comes first (chat)",
    "role_ms": "when that leaves; below 0: with the first token",
    "empty": "chunks without text after it",
    "comments": "keep-alive comments before the first token",
    "reasoning": "tokens that are sent as reasoning, before the others",
    "reasoning_field": "the delta's field for them",
    "usage": "the tokens' count at the end: " + ", ".join(USAGES),
    "usage_lie": "added to that count",
    "pad": "bytes more in each chunk",
    "done": "on or off: data: [DONE] at the end",
    "crlf": "on or off: lines end in CR LF",
    "header_ms": "when the headers leave; below 0: with the first byte of the body",
    "fault": ", ".join(FAULTS[1:]),
    "fault_at": "the token before which it happens, from 0",
    "fault_rate": "share of the requests that it happens to",
    "stall_ms": "length of a stall",
    "retry_after": "seconds, said with 429, 500 and 503",
    "slots": "answers made at a time, 0 for any number; the others wait in line",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the server's options, and one per knob of `Behaviour`."""
    parser.add_argument("--host", default="127.0.0.1", metavar="HOST", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="0 takes a free one (%(default)s)")
    parser.add_argument("--log", type=Path, metavar="FILE", help="write what was sent, and when, as JSON lines")
    parser.add_argument("--until-stdin-ends", action="store_true", help="stop when standard input is closed")
    knobs = parser.add_argument_group(
        "knobs",
        "also by request: header `x-sim: ttft_ms=200,itl_ms=20`, path /x/ttft_ms=200;itl_ms=20/v1/..., body field sim",
    )
    for field in fields(Behaviour):
        default = ("off", "on")[field.default] if isinstance(field.default, bool) else field.default
        knobs.add_argument(
            option(field.name), dest=f"sim_{field.name}", metavar="V", help=f"{_HELP[field.name]} ({default})"
        )


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM, then return 0; 2 with a line on standard error where it cannot begin."""
    try:
        said = {field.name: getattr(args, f"sim_{field.name}") for field in fields(Behaviour)}
        behaviour = Behaviour().with_values({name: value for name, value in said.items() if value is not None})
        log = _open_log(args.log)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    loop = new_loop()
    try:
        # A pause of the collector would be a write's lateness, and nothing here makes cycles in numbers.
        gc.freeze()
        gc.set_threshold(50_000, 50, 50)
        loop.run_until_complete(_serve(args, behaviour, log, loop))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # where the loop cannot take signals
        return 0
    finally:
        loop.close()
    return 0


def _open_log(path: Path | None) -> TruthLog:
    try:
        return TruthLog(path)
    except OSError as error:
        raise ConfigError("a file that can be written as --log", error, "choose another") from None


async def _serve(
    args: argparse.Namespace, behaviour: Behaviour, log: TruthLog, loop: asyncio.AbstractEventLoop
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    listening = await Listening.open(behaviour, log, args.host, args.port)
    if args.until_stdin_ends:
        threading.Thread(target=_when_stdin_ends, args=(loop, stop.set), daemon=True).start()
    print(f"listening on {listening.url}", flush=True)
    await stop.wait()
    await listening.close()


def _when_stdin_ends(loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    with contextlib.suppress(RuntimeError):  # the loop was closed before
        loop.call_soon_threadsafe(then)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `python -m otel_llm.sim`."""
    parser = argparse.ArgumentParser(
        prog="python -m otel_llm.sim", description="A simulated LLM server with a known schedule."
    )
    add_arguments(parser)
    return run(parser.parse_args(argv))

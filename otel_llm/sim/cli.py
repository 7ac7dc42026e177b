"""`otel-llm sim`: its options, and the server until it is told to stop."""

import argparse
import asyncio
import contextlib
import gc
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from otel_llm.errors import ConfigError
from otel_llm.sim.behaviour import ENGINES, FAULTS, INCIDENTS, JITTERS, TIMES, USAGES, Behaviour, option_name
from otel_llm.sim.formats import FORMATS
from otel_llm.sim.server import Listening
from otel_llm.sim.truth import TruthLog
from otel_llm.wire.loop import new_loop

if TYPE_CHECKING:
    from otel_llm.sim.grpc_server import GrpcListening

__all__ = ["add_arguments", "run"]

_HELP = {
    "ttft_ms": "time to the first token",
    "itl_ms": "time from each token to the next; with --ttft-ms 0 too: as fast as can be",
    "jitter": "jitter of the first token's time and of every gap: " + ", ".join(JITTERS),
    "amp": "size of the jitter: half width of uniform, sigma of lognormal",
    "seed": "seed of jitter and faults",
    "tokens": "tokens of an answer; 0: as many as the request allows, else 16",
    "text": "text of one token",
    "tok_per_event": "tokens in one event",
    "ev_per_write": "events in one write",
    "split": "pieces that each write is cut into",
    "split_gap_ms": "pause between the pieces of a write",
    "role": "on or off: a chunk with the role alone comes first (OpenAI's chat)",
    "role_ms": "when what opens a stream leaves; below 0: with the first token",
    "empty": "chunks without text after the role chunk",
    "comments": "keep-alive comments before the first token",
    "reasoning": "tokens sent as reasoning, before the answer's other tokens",
    "reasoning_field": "field of the delta that reasoning is sent in",
    "usage": "when the token counts are sent: " + ", ".join(USAGES),
    "usage_lie": "number added to the count of completion tokens",
    "pad": "bytes of padding in each chunk",
    "done": "on or off: data: [DONE] at the end",
    "crlf": "on or off: lines end in CR LF",
    "times": "a streamed answer says how long it really took, in the words of: " + ", ".join(TIMES[1:]),
    "header_ms": "when the headers leave; below 0: with the first byte of the body",
    "fault": "what goes wrong: " + ", ".join(FAULTS[1:]),
    "fault_at": "token before which the fault happens, from 0",
    "fault_rate": "share of the requests that have the fault",
    "stall_ms": "length of a stall",
    "retry_after": "Retry-After header of 429, 500 and 503, in seconds",
    "stop_ms": "how long an answer goes on that its client wants stopped (Realtime)",
    "slots": "answers made at a time, 0 for any number; further requests wait in line",
    "cache_block": "tokens in a block of the prefix cache, 0: none; with it a prompt's words are its tokens",
    "cache_size": "blocks that the prefix cache holds, 0 for any number",
    "server_version": "the version that /version tells",
    "engine": "whose page /metrics is: " + ", ".join(ENGINES),
    "model": "name of the model on that page",
    "kv_cache": "tokens that the key-value cache holds, 0 for any number; requests wait for room in it",
    "incident": "what goes wrong, to rehearse with: " + ", ".join(INCIDENTS[1:]),
    "incident_after_s": "seconds after the start until it does",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the server's options, and one per knob of `Behaviour`."""
    parser.epilog = f"It answers at every path that ends in {', '.join(FORMATS)}."
    parser.add_argument("--host", default="127.0.0.1", metavar="HOST", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="0 takes a free one (%(default)s)")
    parser.add_argument("--grpc-port", type=int, metavar="N", help="answer by gRPC too, here; 0 takes a free one")
    parser.add_argument("--log", type=Path, metavar="FILE", help="write what was sent, and when, as JSON lines")
    parser.add_argument("--until-stdin-ends", action="store_true", help="stop when standard input is closed")
    knobs = parser.add_argument_group(
        "knobs",
        "also by request: header `x-sim: ttft_ms=200,itl_ms=20`, path /x/ttft_ms=200;itl_ms=20/v1/..., body field sim",
    )
    for field in fields(Behaviour):
        default = ("off", "on")[field.default] if isinstance(field.default, bool) else field.default
        shown = "none" if default == "" else default
        knobs.add_argument(
            option_name(field.name), dest=f"sim_{field.name}", metavar="V", help=f"{_HELP[field.name]} ({shown})"
        )


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM, then return 0. Raises ConfigError where it cannot begin."""
    said = {field.name: getattr(args, f"sim_{field.name}") for field in fields(Behaviour)}
    behaviour = Behaviour().with_values({name: value for name, value in said.items() if value is not None})
    log = _open_log(args.log)
    loop = new_loop()
    try:
        gc.freeze()  # a pause of the collector would be a write's lateness; the command has made pauses rare
        loop.run_until_complete(_serve(args, behaviour, log, loop))
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
    by_grpc = None if args.grpc_port is None else await _listen_by_grpc(listening, args)
    print(f"listening on {listening.url}" + (f" and {by_grpc.url}" if by_grpc else ""), flush=True)
    await stop.wait()
    if by_grpc is not None:
        await by_grpc.close()
    await listening.close()


async def _listen_by_grpc(listening: Listening, args: argparse.Namespace) -> "GrpcListening":
    from otel_llm.sim.grpc_server import GrpcListening  # grpcio is for those who speak it

    try:
        return await GrpcListening.open(listening.service, args.host, args.grpc_port)
    except ConfigError:
        await listening.close()
        raise


def _when_stdin_ends(loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    with contextlib.suppress(RuntimeError):  # the loop was closed before
        loop.call_soon_threadsafe(then)

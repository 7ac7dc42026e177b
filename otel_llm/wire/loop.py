"""The event loop that packets are sent and received on."""

import asyncio
import sys
from typing import Final

__all__ = ["WATCHES_SOCKETS", "new_loop"]

WATCHES_SOCKETS: Final = sys.platform != "win32"
"""Whether a loop here can watch a socket of ours; where it cannot, `otel_llm.wire.stream` serves."""


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a uvloop loop where it is installed: asyncio's own takes as long for a packet as all our code does."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop

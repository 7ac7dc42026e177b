#!/bin/sh
# `loop.add_reader(fd, callback)` calls back while the socket is readable; asyncio documents no exception to that. A peer
# that sends its last bytes and resets the connection leaves two things to read: the bytes, then the error.
#
# Seen with uvloop 0.23.0: where both are there when the loop looks, the callback is called once, reads the bytes, and is
# never called again: libuv stops a poll handle at POLLERR. Whoever reads once per call waits for ever. asyncio's own
# loop calls a second time, and the reset is read.
#
# Prints:
#     asyncio: b'last words', ConnectionResetError
#     uvloop:  b'last words'
# Exit 0: it is still so. 1: it has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check uvloop==0.23.0
timeout 60 "$folder/venv/bin/python" - <<'END'
import asyncio
import socket
import struct
import sys
import time

import uvloop

LINGER = struct.pack("ii", 1, 0)


async def watch():
    loop, seen = asyncio.get_running_loop(), []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    client.setblocking(False)

    def readable():
        try:
            seen.append(repr(client.recv(100)))
        except OSError as error:
            seen.append(type(error).__name__)
            loop.remove_reader(client)

    loop.add_reader(client, readable)
    await asyncio.sleep(0.05)
    server.sendall(b"last words")
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
    server.close()  # a reset
    time.sleep(0.05)  # the loop is busy elsewhere: when it looks, both are there
    await asyncio.sleep(1)
    return ", ".join(seen)


found = []
for name, factory in (("asyncio:", asyncio.new_event_loop), ("uvloop: ", uvloop.new_event_loop)):
    with asyncio.Runner(loop_factory=factory) as runner:
        found.append(runner.run(watch()))
    print(name, found[-1])
sys.exit(found != ["b'last words', ConnectionResetError", "b'last words'"])
END

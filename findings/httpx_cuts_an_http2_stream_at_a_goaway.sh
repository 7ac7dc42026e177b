#!/bin/sh
# A gateway that takes a connection out of use, for its age or before a new version of itself, says GOAWAY and sends the
# answers that are under way to their end: RFC 9113, section 6.8, has it so, and the frame names the last of them.
#
# Seen with httpx 0.28.1 over h2 4.4.1: a streamed answer ends there with RemoteProtocolError, although GOAWAY names it
# as one that will be finished (NO_ERROR, its own number), and its rest arrives 0.1 s later. h2 takes no frame of any
# stream behind a GOAWAY, and httpcore raises when it sees one. To a user of an API that streams for minutes, each
# orderly restart of the gateway is a failed answer; by HTTP/1.1 the same answer is whole.
#
# Prints:
#     without GOAWAY: one two, complete
#     with GOAWAY: one, RemoteProtocolError
# Exit 0: it is still so. 1: it has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q httpx==0.28.1 httpcore==1.0.9 h2==4.4.1
"$folder/venv/bin/python" - <<'END'
import socket
import struct
import threading
import time

import httpx
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import StreamEnded


def goaway(last_stream: int) -> bytes:
    """The frame with the code NO_ERROR."""
    return struct.pack("!xHBBIII", 8, 7, 0, 0, last_stream, 0)


def serve(listening: socket.socket, *, leaves: bool) -> None:
    """Answer one request with two parts, 0.1 s apart."""
    sock, _ = listening.accept()
    server = H2Connection(H2Configuration(client_side=False))
    server.initiate_connection()
    with sock:
        sock.sendall(server.data_to_send())
        while True:
            events = server.receive_data(sock.recv(65536))
            asked = [event.stream_id for event in events if isinstance(event, StreamEnded)]
            sock.sendall(server.data_to_send())
            if asked:
                break
        (stream,) = asked
        server.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream")])
        server.send_data(stream, b"one ")
        sock.sendall(server.data_to_send() + (goaway(stream) if leaves else b""))
        time.sleep(0.1)
        server.send_data(stream, b"two ", end_stream=True)
        sock.sendall(server.data_to_send())
        time.sleep(0.5)


def heard(*, leaves: bool) -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), kwargs={"leaves": leaves}, daemon=True).start()
        parts, end = [], "complete"
        with httpx.Client(http1=False, http2=True) as client:
            try:
                with client.stream("POST", f"http://127.0.0.1:{listening.getsockname()[1]}/", json={}) as answer:
                    parts.extend(answer.iter_text())
            except httpx.HTTPError as error:
                end = type(error).__name__
        return f"{''.join(parts).strip()}, {end}"


found = {leaves: heard(leaves=leaves) for leaves in (False, True)}
print(f"without GOAWAY: {found[False]}\nwith GOAWAY: {found[True]}")
raise SystemExit(found != {False: "one two, complete", True: "one, RemoteProtocolError"})
END

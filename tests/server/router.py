"""A router in front of a server that does what routers do: sends requests twice, again, or not at all."""

import http.client
import itertools
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self
from urllib.parse import urlsplit

Habit = Literal["passes", "duplicates", "retries", "drops"]
EVERY = 4


class Router:
    """Forwards to `upstream`, a URL, inside a `with` block; of requests that it drops, it drops every fourth."""

    def __init__(self, upstream: str, habit: Habit) -> None:
        parts, numbers = urlsplit(upstream), itertools.count(1)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if habit == "drops" and not next(numbers) % EVERY:
                    self.close_connection = True
                    return
                status, kind, answer = self._ask(body)
                if habit == "duplicates" or (habit == "retries" and status != 200):
                    status, kind, answer = self._ask(body)
                while habit == "retries" and status != 200:
                    status, kind, answer = self._ask(body)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def _ask(self, body: bytes) -> tuple[int, str, bytes]:
                connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
                connection.request("POST", self.path, body, {"Content-Type": "application/json", **self._knobs()})
                answer = connection.getresponse()
                found = answer.status, answer.headers["Content-Type"], answer.read()
                connection.close()
                return found

            def _knobs(self) -> dict[str, str]:
                return {"x-sim": knobs} if (knobs := self.headers.get("x-sim")) else {}

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

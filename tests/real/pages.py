"""/metrics pages of engines as texts that a test writes, served on loopback."""

import contextlib
import http.server
import threading
from collections.abc import Iterator, Mapping

__all__ = ["serving"]


@contextlib.contextmanager
def serving(pages: Mapping[str, str], keys: Mapping[str, str] | None = None) -> Iterator[dict[str, str]]:
    """Serve each page under its engine's name; give the variables that tell the Collector's fragments where.

    keys: what a page wants as a bearer token, by its engine; without it, it answers 401
    """
    wanted = {f"/{name}": f"Bearer {key}" for name, key in (keys or {}).items()}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.strip("/")
            allowed = self.headers.get("authorization", "") == wanted.get(self.path, "")
            self.send_response(200 if allowed and name in pages else 401)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(pages.get(name, "").encode() if allowed else b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield {
            variable: value
            for name in pages
            for variable, value in (
                (f"{name.upper()}_TARGETS", f"[127.0.0.1:{server.server_port}]"),
                (f"{name.upper()}_METRICS_PATH", f"/{name}"),
            )
        }
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

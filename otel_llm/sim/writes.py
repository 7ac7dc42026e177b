"""What the simulated server writes: HTTP heads, whole replies and errors, and `Write`, bytes with their time."""

from typing import Final

import orjson

__all__ = ["Write", "error_body", "http_head", "plain_reply"]

Write = tuple[int, bytes | None, int, int]
"""(due in ns after the answer's start, bytes, tokens so far, events so far). Bytes of None cut the connection; tokens
of -1 mark bytes of headers alone."""

_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def http_head(status: str, content_type: str, request_id: str, more: str) -> bytes:
    """Return the status line and the headers of a response. `more`: header lines, each with its CRLF."""
    named = f"x-request-id: {request_id}\r\n" if request_id else ""
    return f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{named}{more}\r\n".encode("latin-1", "replace")


def plain_reply(
    body: bytes,
    request_id: str,
    *,
    status: int = 200,
    close: bool = False,
    retry_after: str = "",
    content_type: str = "application/json",
) -> bytes:
    """Return a whole HTTP response."""
    more = f"Content-Length: {len(body)}\r\n" + ("Connection: close\r\n" if close else "")
    more += f"Retry-After: {retry_after}\r\n" if retry_after else ""
    return http_head(f"{status} {_REASONS[status]}", content_type, request_id, more) + body


def error_body(message: str, kind: str, code: int) -> bytes:
    """Return the JSON of an error object."""
    return orjson.dumps({"error": {"message": message, "type": kind, "code": code}})

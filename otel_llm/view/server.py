"""The page's server: files of the page and answers as JSON, on loopback, for this machine's browser alone.

A page of another site that finds its way here (by a name that it lets point to loopback) is refused by the name it asks
for; nothing allows another origin to read an answer; and the page may load nothing from anywhere else.
"""

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from aiohttp import web

from otel_llm.view.answers import Answers, Wanted
from otel_llm.view.figures import SHOWN
from otel_llm.visible import visible

__all__ = ["page_app"]

_FILES: Final = {
    "/": ("otel_llm.view", "page/index.html", "text/html"),
    "/report.css": ("otel_llm.load.report", "page.css", "text/css"),
    "/view.css": ("otel_llm.view", "page/view.css", "text/css"),
    **{
        f"/{name}": ("otel_llm.view", f"page/{name}", "text/javascript")
        for name in ("view.js", "element.js", "words.js", "charts.js", "overview.js", "calls.js", "trace.js")
    },
}
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def page_app(answers: Answers, about: Callable[[], Mapping[str, Any]], asked: Callable[[], None]) -> web.Application:
    """Return the application. about: what the page says of this program; asked: called whenever somebody looks."""
    app = web.Application(middlewares=[_guarded])
    for path in _FILES:
        app.router.add_get(path, _file)

    def add(path: str, answer: Callable[[web.Request], Any]) -> None:
        async def handle(request: web.Request) -> web.Response:
            asked()
            return _json(answer(request))

        app.router.add_get(path, handle)

    add("/api/about", lambda _: about())
    add("/api/overview", lambda request: answers.overview(_wanted(request), _measure(request)) | {"about": about()})
    add(
        "/api/calls",
        lambda request: answers.calls(_wanted(request), request.query.get("sort", ""), request.query.get("error")),
    )
    add("/api/errors", lambda request: answers.errors(_wanted(request)))
    add("/api/trace/{name}", lambda request: answers.trace(request.match_info["name"]))
    return app


@web.middleware
async def _guarded(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Answer what asks for a loopback name, and by nothing but GET."""
    if not _is_loopback(request.headers.get("Host", "")):
        answer: web.StreamResponse = web.Response(status=403, text="expected a Host of this machine\n")
    else:
        try:
            answer = await handler(request)
        except web.HTTPException as error:
            answer = web.Response(status=error.status, text=f"{error.reason}\n")
    answer.headers.update(_HEADERS)
    return answer


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


async def _file(request: web.Request) -> web.Response:
    package, name, kind = _FILES[request.path]
    text = files(package).joinpath(name).read_text(encoding="utf-8")
    return web.Response(text=text, content_type=kind, charset="utf-8")


def _wanted(request: web.Request) -> Wanted:
    said = request.query
    try:
        window = float(said.get("window", "")) or None
    except ValueError:
        window = None
    return Wanted(window, said.get("model", ""), said.get("service", ""), said.get("run", ""))


def _measure(request: web.Request) -> str:
    measure = request.query.get("measure", "")
    return measure if measure in SHOWN else SHOWN[0]


def _json(answer: Any) -> web.Response:
    if answer is None:
        return web.Response(status=404, text="null", content_type="application/json")
    return web.Response(body=orjson.dumps(_visible(answer)), content_type="application/json")


def _visible(node: Any) -> Any:
    """Return an answer whose texts move no cursor and turn no line, nor are half a character."""
    if isinstance(node, str):
        return visible(node)
    if isinstance(node, Mapping):
        return {visible(key): _visible(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_visible(item) for item in node]
    return node

"""One look at a page of metrics: fetched, read with the engine's own table, or an error that breaks nothing."""

import urllib.error
import urllib.request
from http.client import HTTPException, HTTPMessage
from typing import IO, Final
from urllib.parse import urlsplit

import msgspec

from otel_llm.clock import now_ns
from otel_llm.load.server.gpus import Gpu, gpus_of_nvml, gpus_of_page
from otel_llm.load.server.source import NVML, Source
from otel_llm_collector.engine_tables.reading import Reading, read_page, recognise
from otel_llm_collector.engine_tables.table import EngineTable, engine_tables

__all__ = ["Look", "Scrape"]

_PATIENCE_S: Final = 5.0
_LONGEST: Final = 1 << 24


class Scrape(msgspec.Struct):
    """What a source said at one moment.

    tick:    number of the look, from 0; sources that were looked at together have the same
    at_ns:   monotonic, when the answer had come
    engine:  whose page it is; "" for one that is no engine's
    whole:   whether histograms were read too
    error:   why there is nothing
    reading: empty and with an error for a page that has nothing of any engine; some have it from their first request on
    """

    url: str
    tick: int
    at_ns: int
    engine: str = ""
    whole: bool = False
    reading: Reading | None = None
    gpus: list[Gpu] = []
    error: str | None = None


class Look:
    """Looks at one source again and again, and keeps what it learnt: which URL it is, and whose page."""

    def __init__(self, source: Source) -> None:
        self._urls, self._headers = list(source.urls), source.headers
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), _SameHost()]
        if source.tls is not None:
            handlers.append(urllib.request.HTTPSHandler(context=source.tls))
        self._opener = urllib.request.build_opener(*handlers)
        self._table: EngineTable | None = None

    def __call__(self, tick: int, *, whole: bool) -> Scrape:
        """Return what it says now. Never raises."""
        nothing: list[Scrape] = []
        for url in self._urls:
            try:
                found = self._at(url, tick, whole=whole)
            except Exception as error:  # whatever a page holds, the run goes on
                found = Scrape(url, tick, now_ns(), error=_sentence(error))
            if found.error is None:
                self._urls = [url]
                return found
            nothing.append(found)
        return next((each for each in nothing if each.reading is not None), nothing[0])

    def _at(self, url: str, tick: int, *, whole: bool) -> Scrape:
        if url == NVML:
            return Scrape(url, tick, now_ns(), gpus=gpus_of_nvml())
        request = urllib.request.Request(url, headers={"Accept": "text/plain", **self._headers})  # noqa: S310  # checked
        with self._opener.open(request, timeout=_PATIENCE_S) as answer:
            text = answer.read(_LONGEST).decode("utf-8", "replace")
        at = now_ns()
        gpus = gpus_of_page(text)
        engines = [table for table in engine_tables() if table.vantage != "device"]
        self._table = self._table or recognise(text, engines)
        if self._table is None:
            if gpus:
                return Scrape(url, tick, at, gpus=gpus)
            why = "no engine's metrics are in it that a table of ours lists (docs/engines.md)"
            return Scrape(url, tick, at, whole=whole, reading=Reading(), error=why)
        reading = read_page(text, self._table, histograms=whole)
        return Scrape(url, tick, at, self._table.name, whole, reading, gpus)


def _sentence(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return f"{type(error).__name__}: {error}" if isinstance(error, HTTPException) else str(error)


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows a redirect on the same host alone: headers may hold a key."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl)[:2] != urlsplit(req.full_url)[:2]:
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)

"""What looking at a server's metrics costs: CPU of the process that looks, on a page as long as vLLM's.

python -m benchmarks.scraping [SECONDS]
"""

import sys
import threading

from otel_llm.load.server.scraper import Scraper
from otel_llm.load.server.source import Source
from otel_llm.sim.exposition import Exposition
from otel_llm.sim.truth import SentRow
from otel_llm.testing import ScriptedServer

BYTES = 55_000
"""A page of vLLM 0.32 that has served requests."""


def page() -> bytes:
    """Return a page of vLLM's length: what a table lists, and as much again that none does."""
    exposition = Exposition()
    for number in range(1, 200):
        row = SentRow(
            "id", "/v1/chat/completions", "", recv=0, prompt_bytes=9, start=number, end=9 * number * 1_000_000
        )
        row.stamps.extend((number * 1_000_000, 0, 1, 1, 0, 2 * number * 1_000_000, 0, 2, 2, 0))
        exposition.add(row)
    listed = exposition.page(running=3, waiting=1)
    other = b'python_gc_objects_collected_total{generation="0",of="another metric of the process"} 12345.0\n'
    return listed + other * ((BYTES - len(listed)) // len(other))


def main(seconds: float) -> None:
    body = page()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    with ScriptedServer([head + body]) as server:
        scraper = Scraper([Source((f"{server.url}/metrics",))])
        scraper.start()
        first = scraper.cpu_s
        threading.Event().wait(seconds)
        scraper.stop()
        looks = len(scraper.scrapes) - 1
        scraper.close()
    each = (scraper.cpu_s - first) / looks
    print(
        f"a page of {len(body):,} bytes, {looks} looks: {each * 1e3:.2f} ms of CPU each, {each:.2%} of a core at 1 Hz"
    )


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)

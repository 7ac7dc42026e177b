"""What looking at a server's metrics costs: CPU of the process that looks, on a page as long as vLLM's.

python -m benchmarks.scraping [--seconds N]
python -m benchmarks.scraping --beside N   # runs with --server-metrics and without, in turns: their own error
"""

import argparse
import threading

from benchmarks import own_error
from otel_llm.load.server.scraper import Scraper
from otel_llm.load.server.source import Source
from otel_llm.sim.exposition import Exposition, Load
from otel_llm.sim.truth import SentRow
from otel_llm.testing import ScriptedServer

BYTES = 55_000
"""A page of vLLM 0.32 that has served requests."""


def page() -> bytes:
    """Return a page of vLLM's length: what a table lists, and as much again that none does."""
    exposition = Exposition("vllm", "m")
    for number in range(1, 200):
        row = SentRow(
            "id", "/v1/chat/completions", "", recv=0, prompt_bytes=9, start=number, end=9 * number * 1_000_000
        )
        row.stamps.extend((number * 1_000_000, 0, 1, 1, 0, 2 * number * 1_000_000, 0, 2, 2, 0))
        exposition.add(row)
    listed = exposition.page(Load(0, 0, 0.5))  # idle: at its end it is looked at but once more
    other = b'python_gc_objects_collected_total{generation="0",of="another metric of the process"} 12345.0\n'
    return listed + other * ((BYTES - len(listed)) // len(other))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of looking (default: %(default)s)")
    parser.add_argument("--beside", type=int, metavar="N", help="pairs of runs, with and without --server-metrics")
    args = parser.parse_args()
    body = page()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    with ScriptedServer([head + body]) as server:
        url = f"{server.url}/metrics"
        if args.beside:
            own_error.compare(args.beside, "--server-metrics", url)
        else:
            look(url, args.seconds, len(body))


def look(url: str, seconds: float, size: int) -> None:
    """Print what looking at a page once a second takes."""
    scraper = Scraper([Source((url,))])
    scraper.start()
    first = scraper.cpu_s
    threading.Event().wait(seconds)
    scraper.stop()
    looks = len(scraper.scrapes) - 1
    scraper.close()
    each = (scraper.cpu_s - first) / looks
    print(f"a page of {size:,} bytes, {looks} looks: {each * 1e3:.2f} ms of CPU each, {each:.2%} of a core at 1 Hz")


if __name__ == "__main__":
    main()

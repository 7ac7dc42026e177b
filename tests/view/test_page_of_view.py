"""`otel-llm view` as people use it: the command, and its page in a real browser."""

import asyncio
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_llm import conventions as names
from tests.browser import A4, PAPER, Page, browser_program
from tests.view.sent import exponential, first_asked, gauges, spans
from tests.vocabulary import metric_name
from tools.errors import ToolsError
from tools.npm_packages import AXE

pytestmark = pytest.mark.timeout(400)  # a browser on a busy machine

MARKUP = "<img src=x onerror='window.ran=1'><script>window.ran=1</script>"
TOOK = np.random.default_rng(2).lognormal(0, 0.5, 60)
WHOLE = "document.documentElement.scrollWidth <= innerWidth"
CELL = """(() => {
  const cell = document.querySelector("#heatmap .cell");
  cell.scrollIntoView({ block: "center" });
  const box = cell.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
})()"""
VIOLATIONS = "axe.run().then((said) => said.violations.map((each) => each.id + ': ' + each.nodes[0].html))"


class Serving:
    """A running `otel-llm view`."""

    def __init__(self, folder: Path, *more: str) -> None:
        ports = ("--port", "0", "--grpc-port", "0", "--http-port", "0")
        command = [sys.executable, "-m", "otel_llm.cli", "view", *ports, "--file", str(folder / "view.db"), *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout
        lines = [self.process.stdout.readline() for _ in range(2 if not more else 1)]
        self.url = lines[0].split()[-1]
        self.http = lines[1].split()[3] if not more else ""

    def send(self, path: str, message: Any) -> None:
        asked = urllib.request.Request(f"{self.http}/v1/{path}", message.SerializeToString(), method="POST")
        asked.add_header("Content-Type", "application/x-protobuf")
        urllib.request.urlopen(asked, timeout=30).close()

    def stop(self) -> int:
        self.process.terminate()
        self.process.communicate(timeout=60)
        return self.process.returncode


def said(at: int, **more: Any) -> dict[str, Any]:
    about = {
        names.OPERATION_NAME: "chat",
        names.REQUEST_MODEL: f"llama-{at % 2}",
        names.TIME_TO_FIRST_TOKEN: 0.1 + at / 100,
    }
    return {
        "trace": at + 1,
        "span": at + 1,
        "start": first_asked() - 50 + at * 0.5,
        "took": float(TOOK[at]),
        "said": about | more,
    }


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One with calls, a server's spans, failures, markup wherever others write text, and a histogram."""
    found = Serving(tmp_path_factory.mktemp("view"))
    server = {
        "kind": 2,
        "name": "llm_request",
        "parent": 1,
        "said": {names.RESPONSE_MODEL: "llama-0", names.ENGINE_TIME_IN_QUEUE: 0.02},
    }
    bad = said(59, **{names.ERROR_TYPE: MARKUP, names.REQUEST_MODEL: MARKUP, names.OUTPUT_MESSAGES: MARKUP})
    bad |= {"failed": MARKUP, "name": MARKUP, "events": [(MARKUP, 0.1, {MARKUP: MARKUP})]}
    batch = [
        spans(*map(said, range(59)), service_name="api"),
        spans({**said(0), "span": 1000, **server, "took": float(TOOK[0]) / 2}, service_name="vllm"),
        spans(bad, service_name=MARKUP),
    ]
    found.send("traces", ExportTraceServiceRequest(resource_spans=batch))
    gaps = exponential(
        metric_name("inter_token_latency"), first_asked(), 3, -40, [5, 9, 2], said={names.REQUEST_MODEL: "llama-0"},
        **{names.SERVICE_NAME: "api"},
    )  # fmt: skip
    found.send("metrics", ExportMetricsServiceRequest(resource_metrics=[gaps]))
    said_of_itself = gauges(
        first_asked(), {metric_name("server_requests_running"): 5, metric_name("server_kv_cache_utilization"): 0.42},
        {names.ENGINE: MARKUP, names.REQUEST_MODEL: "llama-0"}, **{names.SERVICE_INSTANCE_ID: MARKUP},
    )  # fmt: skip
    found.send("metrics", ExportMetricsServiceRequest(resource_metrics=[said_of_itself]))
    yield found
    assert found.stop() == 0


@pytest.fixture(scope="module")
def axe() -> str:
    try:
        return (AXE.find().modules / "axe-core" / "axe.min.js").read_text()
    except ToolsError as error:
        pytest.skip(str(error))


async def sized(page: Page, width: int) -> None:
    await page.send(
        "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
    )


async def key(page: Page, name: str) -> None:
    for kind in ("keyDown", "keyUp"):
        text = {"text": "\r"} if name == "Enter" and kind == "keyDown" else {}
        code = {"Enter": 13, "ArrowRight": 39, "Tab": 9}[name]
        await page.send("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, **text)


def test_every_page_is_whole_for_everyone_asks_nobody_else_and_runs_nothing_of_others(
    serving: Serving, axe: str
) -> None:
    async def go() -> None:
        async with Page(browser_program(), serving.url, width=1280) as page:
            await page.until("document.querySelectorAll('#heatmap .cell').length > 20")
            await page.run(f"{axe}; 0")
            for place in ("overview", "calls", "errors", f"trace/{60:032x}"):
                await page.run(f"location.hash = '#{place}'; 0")
                await page.until(f"document.querySelector('#main').dataset.shown === '#{place}'")
                await page.run("document.querySelectorAll('details').forEach((each) => each.open = true); 0")
                for width, dark in ((1280, True), (390, True), (390, False), (1280, False)):
                    await page.scheme(dark=dark)
                    await sized(page, width)
                    assert await page.run(WHOLE), (place, width)
                    if (width == 390) == dark:
                        assert await page.run(VIOLATIONS) == [], (place, width, dark)
            assert await page.run("window.ran") is None
            assert await page.run("document.querySelectorAll('main img, main script').length") == 0
            assert "onerror" in await page.run("document.querySelector('#main').textContent")
            assert page.trouble == []
            assert all(asked.startswith(serving.url) for asked in page.asked), page.asked

    asyncio.run(go())


def test_figures_are_those_that_were_sent_and_a_trace_is_two_keys_away(serving: Serving) -> None:
    async def go() -> None:
        async with Page(browser_program(), serving.url) as page:
            await page.until("document.querySelectorAll('#heatmap a').length > 5")
            cards = await page.run("Object.fromEntries([...document.querySelectorAll('.cards div')].map((each) => "
                                   "[each.children[0].textContent, each.children[1].textContent]))")  # fmt: skip
            assert (cards["Calls"], cards["Failed"]) == ("60", "1")
            assert cards["Whole answer, p99"] == f"{np.percentile(TOOK[:59], 99):.2f} s"
            assert cards["First token, p99"] == f"{np.percentile(0.1 + np.arange(59) / 100, 99) * 1e3:.0f} ms"
            assert cards["Between tokens, p99"].startswith("≈ ")
            assert "Client beside server" in await page.run("document.querySelector('#main').textContent")
            row = await page.run(
                "[...document.querySelectorAll('[aria-label=Engines] td')].map((each) => each.textContent)"
            )
            assert row[:3] == ["5", "–", "42 %"]
            # the keyboard: from dot to dot, and into a trace
            await page.run("document.querySelector('#heatmap a').focus(); 0")
            await key(page, "ArrowRight")
            assert await page.run("document.activeElement === document.querySelectorAll('#heatmap a')[1]")
            await key(page, "Enter")
            await page.until("document.querySelector('#main').dataset.shown.startsWith('#trace/')")
            await page.until("document.querySelectorAll('ul.tree li').length === 1")
            # the pointer: a model filters, and what is under the pointer is told
            await page.run("history.back(); 0")
            await page.until("document.querySelectorAll('#heatmap .cell').length > 20")
            for _ in range(50):  # what is under the pointer moves on with time
                x, y = await page.run(CELL)
                await page.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
                told = await page.run("document.querySelector('.under-pointer').textContent")
                if re.search(r" ms: \d+ calls?$", told):
                    break
            else:
                pytest.fail(told)
            await page.run("document.querySelector(\"[data-key='model llama-1']\").click(); 0")
            await page.until("document.querySelector('.cards dd').textContent === '29'")
            # live: what comes is shown without anybody asking
            serving.send(
                "traces", ExportTraceServiceRequest(resource_spans=[spans({**said(1), "trace": 7777, "span": 7})])
            )
            await page.until("document.querySelector('.cards dd').textContent === '30'")
            assert page.trouble == []

    asyncio.run(go())


def test_every_page_can_be_printed_and_is_as_before_afterwards(serving: Serving) -> None:
    """On A4, in light colours whatever scheme the screen has, and without what one can only click."""
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    drawings = "[...document.querySelectorAll('table, svg')]"

    async def go() -> None:
        async with Page(browser_program(), serving.url, dark=True) as page:
            await page.until("document.querySelectorAll('#heatmap .cell').length > 20")
            for place in ("overview", "calls", "errors", f"trace/{60:032x}"):
                await page.run(f"location.hash = '#{place}'; 0")
                await page.until(f"document.querySelector('#main').dataset.shown === '#{place}'")
                await page.send("Emulation.setEmulatedMedia", media="print", features=dark)
                await page.until(f"{drawings}.every((each) => each.getBoundingClientRect().right <= {PAPER})")
                assert await page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
                assert await page.run(
                    "[...document.querySelectorAll('nav, button')].every((each) => !each.offsetWidth)"
                )
                await page.send("Emulation.setEmulatedMedia", features=dark)
                sheets = await page.send("Page.printToPDF", paperWidth=A4[0], paperHeight=A4[1])
                assert len(sheets["data"]) > 10_000
                await page.until("getComputedStyle(document.body).backgroundColor === 'rgb(13, 17, 23)'")
            await page.run("location.hash = '#overview'; 0")
            await page.until("document.querySelector('#heatmap svg')?.clientWidth > 1000")
            assert page.trouble == []

    asyncio.run(go())


def test_a_page_to_which_nothing_came_says_so(tmp_path: Path) -> None:
    serving = Serving(tmp_path)

    async def look() -> None:
        async with Page(browser_program(), serving.url, width=390) as page:
            for tab, words in (
                ("overview", "Nothing has come"),
                ("calls", "No call came"),
                ("errors", "No call failed"),
            ):
                await page.run(f"location.hash = '{tab}'; 0")
                await page.until(f"document.querySelector('#main')?.textContent.includes({words!r})")
                assert not await page.run("document.querySelectorAll('#main table').length")

    try:
        asyncio.run(look())
    finally:
        serving.stop()


def ask(url: str, host: str | None = None, method: str = "GET") -> tuple[int, Any]:
    request = urllib.request.Request(url, method=method)
    if host is not None:
        request.add_header("Host", host)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


def test_another_site_that_points_its_name_here_gets_nothing(serving: Serving) -> None:
    for host in ("evil.example", "evil.example:4320", "", "127.0.0.1.evil.example", "["):
        status, headers = ask(f"{serving.url}api/overview", host)
        assert (status, headers["Access-Control-Allow-Origin"]) == (403, None)
    for host in (None, "localhost:1", "[::1]:1"):
        status, headers = ask(serving.url, host)
        assert status == 200
        assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert ask(f"{serving.url}api/overview", method="POST")[0] == 405
    assert ask(f"{serving.url}view.py")[0] == 404
    assert ask(f"{serving.url}api/trace/{'a' * 32}")[0] == 404


def test_a_port_that_is_taken_is_one_line(serving: Serving, tmp_path: Path) -> None:
    port = serving.url.rstrip("/").rpartition(":")[2]
    command = [sys.executable, "-m", "otel_llm.cli", "view", "--file", str(tmp_path / "v.db"), "--http-port", "0"]
    for wanted in (("--port", port, "--grpc-port", "0"), ("--port", "0", "--grpc-port", port)):
        got = subprocess.run([*command, *wanted], capture_output=True, text=True, timeout=300, check=False)
        option = wanted[0] if wanted[1] == port else wanted[2]
        assert got.returncode == 2
        assert got.stderr == (
            f"otel-llm view: expected a free port for {option} {port}, got 'Address already in use'; "
            f"choose another, or {option} 0\n"
        )
    none = subprocess.run(
        [*command, "--port", port, "none.db"], capture_output=True, text=True, timeout=300, check=False
    )
    assert (none.returncode, none.stderr.count("\n")) == (2, 1)
    assert "expected a run file, got 'none.db'" in none.stderr
    got = subprocess.run([*command, "--keep", "5 bananas"], capture_output=True, text=True, timeout=300, check=False)
    assert (got.returncode, got.stderr.count("\n")) == (2, 1)
    assert json.dumps("5 bananas").strip('"') in got.stderr

"""`otel-llm report RUN --html FILE`: the page in a real browser, and that its figures are those of the run."""

import argparse
import asyncio
import json
import re
import shlex
import sqlite3
import subprocess
import sys
from array import array
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from benchmarks.report_page import write_run
from otel_llm.cli import main
from otel_llm.load.commands.perf import _written
from otel_llm.load.figures.health import Health
from otel_llm.load.figures.run_figures import RunFigures
from otel_llm.load.plan.arguments import add_arguments
from otel_llm.load.plan.from_options import plan_of
from otel_llm.load.report.collect import collect
from otel_llm.load.report.command_line import command_line
from otel_llm.load.report.model import RunReport
from otel_llm.load.report.run import report_of_run
from otel_llm.load.report.run_page import page_of_run
from otel_llm.load.show.lines import answer_of, load_of
from otel_llm.measures import Facts
from otel_llm.sinks import Ended
from otel_llm.sinks.sqlite import RunFile
from otel_llm.sinks.stored_run import read_records, read_run
from otel_llm.testing import CLOSE, FakeClock, ScriptedServer, timeline
from tests.browser import A4, PAPER, Page, browser_program
from tests.load.conftest import Perf
from tests.load.test_exchange import DONE, END, HEAD, HELLO, chunk
from tests.load.test_perf import chat
from tests.truthserver.process import TruthServer
from tools.errors import ToolsError
from tools.npm_packages import AXE

DRAWN = "document.documentElement.dataset.drawn > 0"
DRAWINGS = """(() => {
  const found = [];
  const look = (node, inside) => {
    if (node.shadowRoot) look(node.shadowRoot, true);
    for (const each of node.children ?? []) look(each, inside);
    if (inside && node.tagName === "svg" && node.children.length > 1) found.push(node);
  };
  look(document.body, false);
  return found;
})()"""
"""What charts are drawn with, one for each, as Bokeh has them."""
SEEN = f"{DRAWINGS}.map((each) => each.outerHTML).join()"
MIDDLE = """(() => {
  const box = document.getElementById("chart-tokens");
  box.scrollIntoView({ block: "center" });
  const { x, y, width, height } = box.getBoundingClientRect();
  return [x + width / 2, y + height * 0.7];
})()"""
TOLD = """(() => {
  const texts = [];
  const look = (node) => {
    if (node.shadowRoot) look(node.shadowRoot);
    for (const each of node.childNodes ?? []) { if (each.nodeType === 3) texts.push(each.data); look(each); }
  };
  look(document.body);
  return texts.some((text) => text.includes("tokens a second"));
})()"""
"""Whether a text beside the pointer says what is under it."""
MARKUP = "<img src=x onerror='window.ran=1'><script>window.ran=1</script>"

"""Inches."""
DARK = "'#262c34'"
"""The colour of the grid in the dark scheme."""

Made = tuple[Perf, Path]


def browse(use: Callable[[Page], Coroutine[Any, Any, None]], page: Path, **options: Any) -> None:
    """Open a page in a browser, wait until its charts are drawn, and use it."""

    async def go() -> None:
        async with Page(browser_program(), page.as_uri(), **options) as opened:
            await opened.until(DRAWN)
            await use(opened)

    asyncio.run(go())


def written(run: Perf) -> Path:
    page = run.folder / "run.html"
    assert main(["report", str(run.run_file), "--html", str(page)]) == 0
    return page


@pytest.fixture(scope="module")
def made(_truth_process: TruthServer, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A run of a queue and some failures, and its page."""
    knobs = "ttft_ms=20;itl_ms=3;tokens=12;jitter=lognormal;amp=0.5;fault=500;fault_rate=0.1;seed=4"
    run = Perf(tmp_path_factory.mktemp("page")).start(*chat(_truth_process, knobs), "-n", "300", "--parallel", "6")
    assert run.wait().code == 1, run.err  # more than one in a hundred failed
    return run, written(run)


@pytest.fixture(scope="module")
def axe() -> str:
    try:
        return (AXE.find().modules / "axe-core" / "axe.min.js").read_text()
    except ToolsError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_is_whole_asks_for_nothing_and_can_be_used_by_everyone(
    made: Made, axe: str, width: int, dark: bool
) -> None:
    async def use(page: Page) -> None:
        assert page.asked == [made[1].as_uri()]
        assert await page.run("document.documentElement.scrollWidth <= innerWidth")
        assert await page.run(f"document.querySelectorAll('.draw').length === {DRAWINGS}.length")
        assert await page.run(f"{DRAWINGS}.every((each) => each.clientWidth > 200 && each.clientHeight > 100)")
        await page.run(f"{axe}; 0")
        found = await page.run("axe.run().then((said) => said.violations.map((each) => each.id + ': ' + each.help))")
        assert found == []
        assert page.trouble == []

    browse(use, made[1], width=width, dark=dark)


async def printed(page: Page) -> None:
    """A sheet of A4 is wide enough, and its paper white whatever scheme the screen has; afterwards all is as before."""
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    await page.send("Emulation.setEmulatedMedia", features=dark)
    await page.until(f"{SEEN}.includes({DARK})")
    await page.run(f"window.widths = {DRAWINGS}.map((each) => each.clientWidth).join(); 0")
    await page.send("Emulation.setEmulatedMedia", media="print", features=dark)
    for parts in ("[...document.querySelectorAll('table')]", DRAWINGS):
        await page.until(f"{parts}.every((each) => each.getBoundingClientRect().right <= {PAPER})")
    assert await page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not await page.run(f"{SEEN}.includes({DARK})")
    await page.send("Emulation.setEmulatedMedia", features=dark)
    sheets = await page.send("Page.printToPDF", paperWidth=A4[0], paperHeight=A4[1])
    assert len(sheets["data"]) > 50_000
    await page.until(f"{DRAWINGS}.map((each) => each.clientWidth).join() === widths && {SEEN}.includes({DARK})")
    assert page.trouble == []


async def reached(page: Page) -> None:
    """What can be used or scrolled is reached by Tab, and so is each chart; where one is, is seen."""
    wanted = "[...document.querySelectorAll('a[href], button, input, summary, [tabindex=\"0\"], .draw')]"
    here = f"{wanted}.findIndex((each) => each.contains(document.activeElement))"
    outline = f"getComputedStyle({wanted}[{here}])"
    met = []
    for _ in range(await page.run(f"{wanted}.length")):
        for kind in ("rawKeyDown", "keyUp"):
            await page.send("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        met.append(await page.run(here))
        assert await page.run(f"{outline}.outlineStyle + parseFloat({outline}.outlineWidth)") == "solid2"
    assert met == list(range(len(met)))
    assert page.trouble == []


def test_a_page_can_be_printed(made: Made) -> None:
    browse(printed, made[1], dark=True)


def test_all_of_a_page_is_reached_by_keyboard(made: Made) -> None:
    browse(reached, made[1], width=390)


def test_charts_follow_the_scheme_and_the_pointer(made: Made) -> None:
    async def use(page: Page) -> None:
        await page.run(f"window.before = {SEEN}; 0")
        await page.scheme(dark=True)
        await page.until(f"{SEEN} !== window.before")
        x, y = await page.run(MIDDLE)
        for away in (9, 5, 0):
            await page.send("Input.dispatchMouseEvent", type="mouseMoved", x=x + away, y=y)
        await page.until(TOLD)
        assert page.trouble == []

    browse(use, made[1])


def test_figures_are_those_of_the_terminal_the_json_and_the_run_file(made: Made) -> None:
    run, page = made
    again = subprocess.run(
        [sys.executable, "-m", "otel_llm.cli", "report", str(run.run_file)], capture_output=True, text=True, check=True
    ).stdout
    cells: list[list[str]] = []

    async def use(page: Page) -> None:
        cells.extend(
            await page.run(
                "[...document.querySelectorAll('[aria-label=Percentiles] tbody tr')]"
                ".map((row) => [...row.children].map((cell) => cell.textContent))"
            )
        )

    browse(use, page)
    table = again[again.index("95 % interval of p99") :]
    for label, *numbers in cells:
        (line,) = re.findall(rf"^{label}\??\s+(.*)$", table, re.MULTILINE)
        assert line.split() == " ".join(numbers).split()
    assert [row[0] for row in cells][:2] == ["time to first token", "inter-token latency"]
    for name, row in (("time_to_first_token", cells[0]), ("request_latency", cells[3])):
        exact = run.report["measures"][name]
        assert row[1] == f"{exact['count']:,}"
        assert float(row[3].strip("*")) == pytest.approx(exact["p50"] * 1e3, abs=0.006)
    assert re.findall(r"<dt>failed</dt><dd>([\d,]+)", page.read_text()) == [f"{run.report['requests']['failed']:,}"]


def test_what_charts_show_is_counted_exactly(made: Made) -> None:
    """Every part against the records themselves."""
    report = of(made[0])
    facts = Facts.of(*read_records(made[0].run_file))
    good = [fact for fact in facts if fact.record.ok]
    values = {
        "time_to_first_token": np.array([fact.time_to_first_token for fact in good], np.float64),
        "inter_token_latency": np.concatenate([fact.inter_token_latencies for fact in good]),
    }
    assert [each.measure for each in report.distributions] == list(values)
    for each in report.distributions:
        row = report.figures["measures"][each.measure]
        assert each.total == row["count"] == len(values[each.measure])
        for edge, share in zip(each.edges.tolist(), each.shares.tolist(), strict=True):
            assert share == np.mean(values[each.measure] < edge)
        assert each.at == {name: row[name] for name in ("p50", "p90", "p99")}
        assert each.merged(4).counts.sum() == each.counts.sum()
    over, start = report.over_time, min(fact.record.sent_ns for fact in facts) / 1e9
    assert over is not None
    assert over.width * (over.succeeded.sum() + over.failed.sum()) == pytest.approx(len(facts))
    assert over.width * over.failed.sum() == pytest.approx(report.figures["requests"]["failed"])
    tokens = sum(sum(fact.record.chunks.tokens) for fact in facts)
    assert over.width * over.tokens.sum() == pytest.approx(tokens)
    took = sum(fact.record.ended_ns - fact.record.sent_ns for fact in facts) / 1e9
    assert over.width * over.in_flight.sum() == pytest.approx(took)
    part = np.array([int((fact.record.sent_ns / 1e9 - start) // over.width) for fact in good])
    for at in range(len(over.starts)):
        mine = values["time_to_first_token"][part == at]
        expected = [np.percentile(mine, q) if len(mine) else np.nan for q in (50, 99)]
        np.testing.assert_allclose([over.first_token["p50"][at], over.first_token["p99"][at]], expected)
    slowest = max(good, key=lambda fact: fact.record.ended_ns - fact.record.sent_ns).record
    assert (report.slowest_answers[0].index, report.slowest_answers[0].trace_id) == (slowest.index, slowest.trace_id)
    assert len(report.timeline) == 200
    assert slowest.index in [row.index for row in report.timeline]
    assert [row.sent for row in report.timeline] == sorted(row.sent for row in report.timeline)


def test_seconds_in_which_the_client_was_late_are_marked(tmp_path: Path) -> None:
    """As many as the report counts; where it counts none, no lateness is read. Users who leave are no failures."""
    records = []
    for at in range(300):
        record = msgspec.structs.replace(
            timeline("r.a.b|" if at else "r.a.b<", clock=FakeClock(at * 20_000_000)), index=at
        )
        lag = array("q", [9_000_000 if at >= 200 else 0] * len(record.chunks))
        records.append(msgspec.structs.replace(record, chunks=msgspec.structs.replace(record.chunks, lag_ns=lag)))
    run = {"id": "r", "name": "n", "started_at": "2026-01-01T00:00:00Z", "arguments": {}, "versions": {}}
    figures, file, ended = RunFigures(300), RunFile(tmp_path / "run.db", run, 300), Ended.of(*records)
    figures.add([each.facts for each in ended])
    file.take(ended)
    report = {"run": run, **figures.report(Health(1), records[0].sent_ns)}
    file.close(report)
    over = collect(tmp_path / "run.db", "r", report).over_time
    assert over is not None
    assert len(over.limited) == report["client"]["windows"]["limited"] > 0
    assert over.limited[0][0] == pytest.approx(report["client"]["windows"]["first_limited_at"], abs=1)
    assert (over.failed.sum(), over.succeeded.sum() * over.width) == (0, pytest.approx(299))
    well = {**report, "client": {**report["client"], "windows": {"total": 6, "limited": 0, "first_limited_at": None}}}
    over = collect(tmp_path / "run.db", "r", well).over_time
    assert over is not None
    assert list(over.limited) == []


def of(run: Perf) -> RunReport:
    return report_of_run(run.run_file, read_run(run.run_file)["summary"])


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Perf]:
    """A run of a server whose model name, error code, error text and answer are markup."""
    error = json.dumps({"error": {"message": f"</script>{MARKUP}\x1b[2J", "code": MARKUP}}).encode()
    refusal = b"HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(error) + error
    inside = HEAD + chunk(HELLO) + chunk(b"data: " + error + b"\n\n") + chunk(DONE) + END
    answer = HEAD + chunk(HELLO.replace(b"hello", MARKUP.encode())) + chunk(DONE) + END
    with ScriptedServer([refusal, CLOSE], [inside, CLOSE], [answer, CLOSE]) as server:
        url = f"{server.url}/v1/chat/completions"
        words = ["--url", url, "--model", MARKUP, "--prompt", f"{MARKUP}</script>", "-n", "6", "--no-finish-reason"]
        run = Perf(tmp_path).start(*words).wait()
        assert run.report["requests"]["succeeded"] == 4, run.err
        yield run


def test_markup_of_others_is_text(hostile: Perf) -> None:
    async def use(page: Page) -> None:
        await page.run("new Promise((done) => setTimeout(done, 300))")
        assert await page.run("window.ran") is None
        assert await page.run("document.images.length + document.querySelectorAll('main img').length") == 0
        assert await page.run("document.querySelector('h1').textContent") == MARKUP
        said = await page.run("document.querySelector('.words').textContent")
        assert MARKUP in said
        assert "\\x1b[2J" in said
        assert page.asked == [(hostile.folder / "run.html").as_uri()]
        assert page.trouble == []

    browse(use, written(hostile))


def test_a_command_is_the_run_again(made: Made) -> None:
    """What the report says was typed gives the same options when it is parsed."""

    def parsed(words: list[str]) -> dict[str, Any]:
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        args = parser.parse_args(words)
        return _written(args, plan_of(args).plan)

    words = [
        "--url", "http://127.0.0.1:1/v1/chat/completions", "http://127.0.0.1:2/v1/chat/completions", "--model", "it's",
        "--prompt", "a b", "-n", "7", "--rate", "2:30s", "5:1m", "--parameters",
        'x="5"', "y=5", 'z={"a": [1, "b"]}', "t=plain",
        "--slo", "latency=0.5", "--no-stream", "--headers", "x-request-id=1", "--json", "out.json", "--cache-bust",
        "--output-tokens", "8", "--session-header", "x-conversation",
    ]  # fmt: skip
    first = parsed(words)
    line = command_line(first)
    assert line is not None
    assert line.startswith("otel-llm perf --model 'it'\"'\"'s' --prompt 'a b' ")
    assert parsed(shlex.split(line)[2:]) == first
    assert command_line({}) is None
    assert of(made[0]).command is not None


@pytest.mark.parametrize(
    ("arguments", "load"),
    [
        ({}, "one request at a time"), ({"parallel": 16}, "16 requests in parallel"),
        ({"parallel": "1..50:5m"}, "1..50:5m requests in parallel"), ({"rate": -1}, "all requests at once"),
        ({"rate": 2.5}, "2.5 requests/s, whatever came back"),
        ({"rate": "2:30s 10:60s"}, "2:30s 10:60s requests/s, whatever came back"),
    ],
)  # fmt: skip
def test_the_load_is_said(arguments: dict[str, Any], load: str) -> None:
    assert load_of(arguments) == load


def test_the_answer_says_that_a_server_did_not_keep_up(made: Made) -> None:
    figures = read_run(made[0].run_file)["summary"]
    overload = {"overloaded": True, "by_client": False, "backlog": [3, 120]}
    said = answer_of({**figures, "load": {"overload": overload}})
    assert said.endswith(
        "It did not keep up: requests without an answer grew from 3 to 120, so latencies grow with the run."
    )
    assert "did not keep up" not in answer_of(figures)
    measure = {**figures["measures"]["time_to_first_token"], "too_few_for": ["p50", "p90", "p99"]}
    few = answer_of({**figures, "measures": {**figures["measures"], "time_to_first_token": measure}})
    assert " ms. That is " in few
    none = {**figures["requests"], "succeeded": 0, "errors": {"connect": 300}}
    assert answer_of({**figures, "requests": none}) == "m answered none of 300 requests: connect."


def test_a_run_that_was_broken_off_has_a_page(made: Made, tmp_path: Path) -> None:
    copy = tmp_path / "broken.db"
    copy.write_bytes(made[0].run_file.read_bytes())
    db = sqlite3.connect(copy)
    db.execute("UPDATE run SET summary = NULL")
    db.execute("DELETE FROM packed_result WHERE rowid > 100")
    db.commit()
    db.close()
    page = tmp_path / "broken.html"
    assert main(["report", str(copy), "--html", str(page)]) == 0
    text = page.read_text()
    assert "the run was broken off before its end" in text
    assert "Not known whether the client was the limit" in text


def test_a_page_does_not_grow_with_the_run(made: Made) -> None:
    """Charts are of parts: twice the requests, the same page but for some digits."""
    figures = read_run(made[0].run_file)["summary"]
    whole = len(page_of_run(report_of_run(made[0].run_file, figures)))
    less = collect(made[0].run_file, "nobody", figures)
    assert (less.over_time, list(less.timeline)) == (None, [])
    assert whole < 2_000_000


def test_a_page_of_many_requests_reads_them_in_blocks(tmp_path: Path) -> None:
    """Nothing is called for each request: `benchmarks/report_page.py` has what a million of them take."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    write_run(tmp_path / "run.db", 4000)
    row = read_run(tmp_path / "run.db")
    sys.setprofile(count)
    try:
        found = collect(tmp_path / "run.db", row["id"], row["summary"])
    finally:
        sys.setprofile(None)
    for each in found.distributions:
        assert each.total == row["summary"]["measures"][each.measure]["count"]
    assert calls < 4000


def test_without_the_extra_it_is_one_line(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "bokeh.resources", None)
    assert main(["report", str(made[0].run_file), "--html", str(tmp_path / "x.html")]) == 2
    said = capsys.readouterr().err
    assert "pip install 'otel-llm[report]'" in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("to", [".", "nowhere/x.html"])
def test_a_page_that_cannot_be_written_is_one_line(
    made: Made, to: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(made[0].run_file), "--html", to]) == 2
    said = capsys.readouterr().err
    assert "look at --html" in said
    assert said.count("\n") == 1

"""`otel_llm.load.sweep` and `find`: what their commands do, and what a notebook shows of it."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import otel_llm.load
from otel_llm.errors import ConfigError
from otel_llm.load.api.frames import html_of
from otel_llm.load.api.progress import shown
from otel_llm.load.export.columns import POINT
from tests.load.test_perf import wait_until
from tests.load.test_python_api import url
from tests.truthserver.process import TruthServer


def test_a_sweep_is_that_of_the_command(truth: TruthServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"url": url(truth), "model": "m", "prompt": "x", "number": 4, "name": str(tmp_path / "s.db")}
    study = otel_llm.load.sweep(parallel=[1, 2], progress=True, **options)
    assert (study.ok, study.path, study.holds) == (True, tmp_path / "s.db", None)
    assert [(point["load"], point["requests"]) for point in study.points] == [(1, 4), (2, 4)]
    assert "2 in parallel: 4 requests" in capsys.readouterr().err
    words = [
        "sweep", "--parallel", "1", "2", "-n", "4", "--url", url(truth), "--model", "m", "--prompt", "x",
        "--name", str(tmp_path / "s.db"), "--json", str(tmp_path / "s.json"),
    ]  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "otel_llm.cli", *words], capture_output=True, text=True, check=True)
    assert (done.stdout, json.loads((tmp_path / "s.json").read_text())) == (str(study), study.report)
    assert truth.stats()["requests"] == 8, "it went on with a study that was whole"
    assert study.answer == done.stdout.splitlines()[0]
    shown = study._repr_html_()
    assert shown.startswith(f"<p>{study.answer}</p>\n<table>")
    assert shown.count("<tr>") == 3
    pd = pytest.importorskip("pandas")
    assert list(study.to_pandas().columns) == [column.name for column in POINT]
    assert isinstance(study.to_pandas(), pd.DataFrame)


def test_a_search_has_its_bracket(truth: TruthServer, tmp_path: Path) -> None:
    study = otel_llm.load.find(
        url=url(truth, "itl_ms=0;tokens=2"), model="m", prompt="x", slo={"ttft": "1us"}, slo_attainment=0.5,
        number=150, duration="2s", start=400, highest=400, precision=1, name=str(tmp_path / "f.db"),
    )  # fmt: skip
    assert study.holds is None
    assert study.breaks == study.report["breaks"]
    assert study.exit_code == 1
    assert study._repr_html_().count("<th>") == 7


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"paralel": [1]}, "did you mean parallel?"),
        ({"rate": "fast", "number": 1}, "loads for --rate"),
        ({"rate": 1}, "expected -n or --duration"),
        ({"rate": 1, "number": 1, "json": "x"}, "the result has `report`"),
        ({"rate": 1, "number": 1, "append": True}, "otel-llm sweep --help lists them"),
    ],
)
def test_what_cannot_be_is_said(options: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        otel_llm.load.sweep(model="m", prompt="x", url="http://127.0.0.1:9/v1", name=str(tmp_path / "s.db"), **options)
    assert words in str(caught.value)


def test_lines_are_shown_without_tqdm_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with shown("sweep") as show:
        show(b"1 of 2\n")
        show(b"2 of 2\n")
    assert capsys.readouterr().err == "1 of 2\n2 of 2\n"


def test_a_run_moves_a_bar_where_there_is_no_terminal(
    truth: TruthServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tqdm")
    run = otel_llm.load.run(
        url=url(truth, "ttft_ms=30;tokens=2"),
        model="m",
        prompt="x",
        number=40,
        parallel=4,
        name=str(tmp_path / "r.db"),
        progress=True,
    )
    assert run.ok
    shown = capsys.readouterr().err
    assert re.search(r"perf: 100%.* 40/40 .*, 0 failed, first token \d\d+ ms", shown), shown


def test_a_study_is_awaited_beside_other_work_and_goes_on_after_it_was_cancelled(
    truth: TruthServer, tmp_path: Path
) -> None:
    options = {
        "url": url(truth, "ttft_ms=20;itl_ms=1;tokens=4"), "model": "m", "prompt": "x", "number": 10,
        "parallel": [1, 2, 3], "name": str(tmp_path / "s.db"), "progress": True,
    }  # fmt: skip

    async def cut() -> None:
        task = asyncio.create_task(otel_llm.load.sweep_async(**options))
        await asyncio.to_thread(wait_until, lambda: truth.stats()["requests"] > 10)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cut())
    study = asyncio.run(otel_llm.load.sweep_async(**options))
    assert [(point["load"], point["requests"]) for point in study.points] == [(1, 10), (2, 10), (3, 10)]
    assert truth.stats()["requests"] < 50, "the first point was not asked again"


def test_a_search_is_awaited_too(truth: TruthServer, tmp_path: Path) -> None:
    search = otel_llm.load.find_async(
        url=url(truth, "itl_ms=0;tokens=2"), model="m", prompt="x", slo={"ttft": "1us"}, slo_attainment=0.5,
        number=150, duration="2s", start=400, highest=400, precision=1, name=str(tmp_path / "f.db"),
    )  # fmt: skip
    assert asyncio.run(search).holds is None


def test_what_a_notebook_shows_is_text() -> None:
    shown = html_of(["<script>x</script>"], ["a<b"], [["\x1b[2J&"]])
    assert shown == (
        "<p>&lt;script&gt;x&lt;/script&gt;</p>\n"
        "<table><thead><tr><th>a&lt;b</th></tr></thead><tbody><tr><td>\\x1b[2J&amp;</td></tr></tbody></table>"
    )

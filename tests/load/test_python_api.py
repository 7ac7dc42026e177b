"""`otel_llm.load.run`: a run from Python is the run of the command line."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import otel_llm.load
from otel_llm.errors import ConfigError
from otel_llm.load.child.words import words_of
from otel_llm.sinks.stored_run import read_records
from tests.load.test_perf import wait_until
from tests.truthserver.process import TruthServer


def url(truth: TruthServer, knobs: str = "itl_ms=1;tokens=4") -> str:
    return f"{truth.url}/x/{knobs}/v1/chat/completions"


def test_a_run_has_the_figures_of_its_report(
    truth: TruthServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = otel_llm.load.run(
        url=url(truth), model="m", prompt="-5 + 3?", number=12, parallel=3, slo={"ttft": "1min"}, headers={"X-A": "b"},
        parameters={"user": "5"}, fail_if=["p99_ttft>1h"],
    )  # fmt: skip
    assert run._repr_html_().count("<p>") == 2
    assert (run.ok, run.exit_code, run.client_limited) == (True, 0, run.report["client"]["saturated"])
    assert run.requests["succeeded"] == truth.stats()["requests"] == 12
    assert run.measures["time_to_first_token"]["count"] == 12
    assert run.slo is not None
    assert run.slo["met"]
    assert run.report["run"]["arguments"]["headers"] == {"X-A": "b"}
    assert run.report["run"]["arguments"]["parameters"] == {"user": "5"}
    assert len(list(read_records(run.path))) == 12
    assert str(run).startswith("m answered 12 of 12 requests.")
    assert "run file" in run.printed


def test_requests_are_a_table(truth: TruthServer, tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    run = otel_llm.load.run(url=url(truth), model="m", prompt="x", number=5, name=str(tmp_path / "r.db"))
    frame = run.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["request_index"]) == [0, 1, 2, 3, 4]
    assert frame["latency"].max() == run.measures["request_latency"]["max"]
    pl = pytest.importorskip("polars")
    assert run.to_polars()["latency"].to_list() == list(frame["latency"])
    assert isinstance(run.to_polars(), pl.DataFrame)


def test_a_library_of_tables_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
    run = otel_llm.load.LoadRun({}, tmp_path, 0, "")
    with pytest.raises(ConfigError, match="expected pandas installed; pip install pandas"):
        run.to_pandas()
    with pytest.raises(ConfigError, match="expected polars installed; pip install polars"):
        run.to_polars()


def test_it_is_awaited_beside_other_work(truth: TruthServer, tmp_path: Path) -> None:
    async def both() -> tuple[otel_llm.load.LoadRun, int]:
        turns = 0
        task = asyncio.create_task(
            otel_llm.load.run_async(url=url(truth), model="m", prompt="x", name=str(tmp_path / "r.db"))
        )
        while not task.done():
            await asyncio.sleep(0.01)
            turns += 1
        return await task, turns

    run, turns = asyncio.run(both())
    assert run.ok
    assert turns > 1


def test_one_that_is_cancelled_ends_in_order(truth: TruthServer, tmp_path: Path) -> None:
    async def cut() -> None:
        options = {
            "url": url(truth, "ttft_ms=50;itl_ms=20"),
            "model": "m",
            "prompt": "x",
            "rate": 50,
            "duration": "1min",
        }
        task = asyncio.create_task(otel_llm.load.run_async(**options, name=str(tmp_path / "r.db")))
        await asyncio.to_thread(wait_until, lambda: truth.stats()["requests"] >= 10)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cut())
    assert len(list(read_records(tmp_path / "r.db"))) >= 10


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nothing_like_it": 4}, "otel-llm perf --help lists them, here with _ for -"),
        ({"concurrency": 4}, "did you mean --parallel N?"),
        ({"paralel": 4}, "did you mean parallel?"),
        ({"stream": True}, "streamed unless --no-stream"),
        ({"parallel": True}, "expected a value for parallel, got True"),
        ({"no_stream": "yes"}, "expected True or False for no_stream, got 'yes'"),
        ({"prompt": ["a", "b"]}, "expected one value for prompt"),
        ({"json": "x.json"}, "the result has `report`"),
    ],
)
def test_an_option_that_there_is_not_is_said_before_a_process_starts(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        otel_llm.load.run(**{"model": "m", "prompt": "x", "url": "http://127.0.0.1:9/v1", **options})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rate": "fast"}, "rate"),
        ({"slo": {"ttft": "soon"}}, "expected NAME=TIME"),
        ({"prompt": "@/no/file"}, "expected --prompt @FILE"),
    ],
)
def test_a_value_that_cannot_be_is_a_config_error(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        otel_llm.load.run(**{"model": "m", "prompt": "x", "url": "http://127.0.0.1:9/v1", **options})


def test_words_are_those_of_the_command_line() -> None:
    assert words_of({"number": 5, "no_stream": True, "strict": False, "name": None, "parallel": ["2", "4:30s"]}) == [
        "--number=5", "--no-stream", "--parallel", "2", "4:30s",
    ]  # fmt: skip
    assert words_of({"url": ["a", "b"]}) == ["--url=a", "--url=b"]
    assert words_of({"from_": "10s", "to": 60}) == ["--from=10s", "--to=60"]
    assert words_of({"trace_from": 10.0, "trace_to": 60.0}) == ["--from=10.0", "--to=60.0"], "as a study gives them"
    assert words_of({"slo": {"ttft": "1s", "tpot": 0.1}}) == ["--slo=ttft=1s", "--slo=tpot=0.1"]
    assert words_of({"parameters": {"stop": ["x"], "user": "5"}}) == [
        '--parameters=stop=["x"]',
        '--parameters=user="5"',
    ]


def test_a_run_whose_program_is_killed_ends_too(truth: TruthServer, tmp_path: Path) -> None:
    program = (
        "import otel_llm.load as load; "
        f"load.run(url={url(truth, 'ttft_ms=50')!r}, model='m', prompt='x', rate=20, duration='2min', name='r.db')"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path)
    wait_until(lambda: truth.stats()["requests"] > 5)
    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []


def test_importing_it_loads_nothing() -> None:
    code = "import sys, otel_llm.load; sys.exit(any(m.startswith('otel_llm.load.') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert "run" in dir(otel_llm.load)

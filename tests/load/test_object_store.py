"""Run files in an object store: pods leave them there, merge takes them from there, a store that fails loses none."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_llm.cli import main
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.stored_run import read_run


@pytest.fixture
def server() -> Iterator[str]:
    with SimProcess(Behaviour(ttft_ms=1, itl_ms=1, tokens=3)) as sim:
        yield f"{sim.url}/v1/chat/completions"


def options(server: str) -> list[str]:
    return ["--url", server, "--model", "m", "--prompt", "x", "-n", "12", "--rate", "100", "--no-content"]


def test_pods_without_a_common_volume_are_merged_from_the_store(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = (tmp_path / "bucket" / "runs").as_uri()
    own = [tmp_path / f"disk-{index}" for index in range(3)]
    for folder in own:
        folder.mkdir()
    words = [*options(server), "--shard", "index/3", "--name", "pod.db", "--store", store]
    pods = [
        subprocess.Popen(
            [sys.executable, "-m", "otel_llm", "perf", *words], cwd=folder,
            env={**os.environ, "JOB_COMPLETION_INDEX": str(index)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for index, folder in enumerate(own)
    ]  # fmt: skip
    for number, pod in enumerate(pods, 1):
        _, err = pod.communicate(timeout=300)
        assert pod.returncode == 0, err
        assert f"stored at {store}/pod-{number}-of-3.db" in err.decode()
    into = tmp_path / "run.db"
    assert main(["merge", f"{store}/pod-*-of-3.db", "--into", str(into)]) == 0
    assert " answered 12 of 12 requests." in capsys.readouterr().out
    assert read_run(into)["summary"]["requests"]["succeeded"] == 12
    copies = sorted((tmp_path / "bucket" / "runs").iterdir())
    assert [path.read_bytes() for path in copies] == [
        (folder / path.name).read_bytes() for folder, path in zip(own, copies, strict=True)
    ]


def test_a_name_that_the_store_has_is_refused_before_any_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "load.db").write_text("of somebody")
    words = ["perf", *options("http://127.0.0.1:9/v1/chat/completions"), "--name", "load.db"]
    assert main([*words, "--store", (tmp_path / "bucket").as_uri()]) == 2
    assert "expected a new name in --store" in capsys.readouterr().err
    assert not (tmp_path / "load.db").exists()


def test_a_store_that_takes_nothing_is_refused_before_any_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bucket").write_text("a file where a folder should be")
    words = ["perf", *options("http://127.0.0.1:9/v1/chat/completions"), "--name", "load.db"]
    assert main([*words, "--store", (tmp_path / "bucket").as_uri()]) == 2
    assert "expected an object store at file://" in capsys.readouterr().err
    assert not (tmp_path / "load.db").exists()


def test_a_store_that_fails_at_the_end_leaves_the_run_file_and_says_where(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(*_: object) -> None:
        raise PermissionError("the token has expired")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.put_file", gone)
    words = ["perf", *options(server), "--name", "load.db", "--store", (tmp_path / "bucket").as_uri()]
    assert main(words) == 1
    assert "got the token has expired; it is still here: " in capsys.readouterr().err
    assert read_run(tmp_path / "load.db")["summary"]["requests"]["succeeded"] == 12


def test_a_secret_in_the_address_is_kept_nowhere(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    store = "memory://somebody:topsecretvalue@bucket/runs"
    assert main(["perf", *options(server), "--name", "load.db", "--store", store, "--json", "report.json"]) == 0
    said = "".join(capsys.readouterr()).encode()
    for kept in (said, (tmp_path / "load.db").read_bytes(), (tmp_path / "report.json").read_bytes()):
        assert b"topsecretvalue" not in kept
    assert read_run(tmp_path / "load.db")["arguments"]["store"] == "memory://[redacted]@bucket/runs"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("perf", "--store", "nosuch://bucket/runs"), "expected an object store at nosuch://bucket/runs"),
        (("perf", "--store", "memory://runs", "--append", "--name", "a.db"), "expected --store without --append"),
        (("merge", "memory://runs/none-*.db", "--into", "x.db"), "none at memory://runs/none-*.db"),
    ],
)
def test_what_no_store_can_do_is_one_line(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    more = options("http://127.0.0.1:9/v1/chat/completions") if words[0] == "perf" else []
    assert main([*words, *more]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())

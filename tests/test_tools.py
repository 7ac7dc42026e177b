"""The finder: PATH first when it is new enough, then the cache, which holds finished builds only."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tools import build, cache, cli, find, golang, parts, ports, versions, wheel
from tools.engines import SGLANG, VLLM
from tools.errors import ToolsError

ROOT = Path(__file__).parent.parent
OTELCOL_HAS = " ".join(parts.PROGRAMS["otelcol"].needs)


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and a PATH with nothing but a shell."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "shell").mkdir()
    for name in ("sh", "sleep", "cat"):
        (tmp_path / "shell" / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(tmp_path / "shell"))


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def on_path(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}{path.parent}")


@pytest.mark.parametrize("says", ["prometheus, version 3.15.0 (branch: HEAD)", "prometheus, version 4.0.1"])
def test_new_enough_on_path_wins_over_the_cache(says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(build.cached(parts.PROMETHEUS) / "prometheus", "exit 0")
    on_path(mine := script(tmp_path / "bin" / "prometheus", f"echo '{says}'"), monkeypatch)
    found = find.program("prometheus")
    assert (found.path, found.how) == (mine, "on PATH")
    assert found.version in says


@pytest.mark.parametrize(
    ("says", "why"),
    [("echo 'prometheus, version 2.42.0+ds'", "with 2.42.0"), ("echo hello", "with no version"), ("exit 1", "with no")],
)
def test_too_old_on_path_is_refused(says: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(script(tmp_path / "bin" / "prometheus", says), monkeypatch)
    with pytest.raises(ToolsError, match=rf"expected prometheus 3\.15\.0 or newer, got .*{why}.*next step: make tools"):
        find.program("prometheus")


def test_too_old_on_path_does_not_hide_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(script(tmp_path / "bin" / "prometheus", "echo prometheus, version 2.42.0"), monkeypatch)
    mine = script(build.cached(parts.PROMETHEUS) / "prometheus", "exit 0")
    found = find.program("prometheus")
    assert (found.path, found.how, found.version) == (mine, "cached", "3.15.0")


def test_old_one_in_front_does_not_hide_a_new_one_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(script(tmp_path / "a" / "promtool", "echo promtool, version 2.42.0"), monkeypatch)
    on_path(new := script(tmp_path / "b" / "promtool", "echo promtool, version 3.16.0"), monkeypatch)
    assert find.program("promtool").path == new


def test_collector_without_what_the_configurations_use_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = 'test "$1" = components && echo "name: otlp_http name: health_check" || echo otelcol version 0.161.0'
    on_path(script(tmp_path / "a" / "otelcol", core), monkeypatch)
    with pytest.raises(ToolsError, match="without span_metrics, tail_sampling"):
        find.program("otelcol")
    contrib = f'test "$1" = components && echo "{OTELCOL_HAS}" || echo otelcol-contrib version 0.161.0'
    on_path(mine := script(tmp_path / "b" / "otelcol-contrib", contrib), monkeypatch)
    assert find.program("otelcol").path == mine


def test_version_comes_from_the_build_record_where_the_program_cannot_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = script(tmp_path / "bin" / "llm-d-inference-sim", "\0dep\tgithub.com/llm-d/llm-d-inference-sim\tv0.11.0\th1:")
    on_path(mine, monkeypatch)
    assert find.program("llm-d-inference-sim").version == "0.11.0"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("otelcol version 0.155.0", (0, 155, 0)),
        ('{"gitVersion":"v2.13.0"}', (2, 13, 0)),
        ("prometheus, version  (branch: , revision: unknown)\n go version: go1.26.8", None),
        ("", None),
    ],
)
def test_version_is_read_from_what_programs_print(text: str, version: versions.Version | None) -> None:
    assert versions.parse(text) == version


def test_cache_lies_in_xdg_cache_home_by_part_and_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = build.cached(parts.COLLECTOR)
    assert folder.parent == tmp_path / "cache" / "otel_llm" / "collector"
    assert folder.name.startswith("0.161.0-")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert cache.root() == tmp_path / "home" / ".cache" / "otel_llm"


def test_changed_module_file_is_another_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "MODULES", tmp_path)
    go_mod = script(tmp_path / "sim" / "go.mod", "require a v1.0.0")
    before = build.cached(parts.SIM)
    script(go_mod, "require a v1.0.1")
    assert (changed := build.cached(parts.SIM)) != before
    script(tmp_path / "sim" / "folder" / "spec.go", "package v2")
    assert build.cached(parts.SIM) != changed


def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiles: str) -> None:
    """A Go whose `build ... -o FILE PACKAGE` runs `compiles` with FILE in $out."""
    arguments = 'while [ "$1" != -o ]; do shift; done; out=$2'
    go = script(tmp_path / "go", f"{arguments}\n{compiles}")
    monkeypatch.setattr(golang, "find", lambda: go)


def test_missing_part_is_built_once_and_then_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_go(tmp_path, monkeypatch, "echo built >> $out")
    first = find.program("promtool", may_build=True)
    assert first.how.startswith("built in ")
    assert find.program("prometheus", may_build=True).how == "cached"
    assert sorted(file.name for file in first.path.parent.iterdir()) == ["prometheus", "promtool"]
    assert sorted(file.name for file in first.path.parent.parent.iterdir()) == [
        first.path.parent.name,
        f"{first.path.parent.name}.lock",
    ]
    assert capsys.readouterr().out.count("building from Go modules") == 1


def test_failed_build_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_go(tmp_path, monkeypatch, "echo half > $out; echo 'no such module'; exit 1")
    with pytest.raises(ToolsError, match=r"expected `.*go build` to succeed .* next step: see whether the Go module"):
        find.program("jaeger", may_build=True)
    assert "no such module" in capsys.readouterr().out
    folder = build.cached(parts.JAEGER)
    assert {file.name for file in folder.parent.iterdir()} == {f"{folder.name}.lock", f"{folder.name}.log"}


def test_killed_build_leaves_nothing_that_counts_and_is_cleared_by_the_next() -> None:
    target = cache.folder("part", "1.0.0")
    code = """
import sys, time
from pathlib import Path
from tools import cache
def make(folder):
    (folder / "half").write_text("half")
    print("making", flush=True)
    time.sleep(60)
cache.fill(Path(sys.argv[1]), make)
"""
    process = subprocess.Popen([sys.executable, "-c", code, target], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"making\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert not target.exists()
    assert list(target.parent.glob("*.making-*"))
    assert cache.fill(target, lambda folder: (folder / "whole").touch())
    assert [file.name for file in target.iterdir()] == ["whole"]
    assert not list(target.parent.glob("*.making-*"))


def test_two_at_once_make_it_once() -> None:
    target = cache.folder("part", "1.0.0")
    made, inside, go_on = [], threading.Event(), threading.Event()

    def make(folder: Path) -> None:
        made.append(folder)
        inside.set()
        go_on.wait(10)

    first = threading.Thread(target=cache.fill, args=(target, make))
    first.start()
    assert inside.wait(10)
    second = threading.Thread(target=cache.fill, args=(target, make))
    second.start()
    go_on.set()
    first.join(10)
    second.join(10)
    assert len(made) == 1


def test_go_on_path_wins_when_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = script(tmp_path / "bin" / "go", "echo go version go1.99.1 linux/amd64")
    on_path(go, monkeypatch)
    assert golang.find() == go


def test_old_go_on_path_gives_way_to_the_packaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(script(tmp_path / "bin" / "go", "echo go version go1.22.0 linux/amd64"), monkeypatch)
    packaged = script(cache.folder("go", "1.27.3") / "go" / "bin" / "go", "exit 0")
    assert golang.find() == packaged


def test_newest_go_directive_decides() -> None:
    assert golang.needed() == (1, 26, 3)


def test_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as wrong:
        cli.main(["path", "grafana"])
    assert wrong.value.code == 2
    assert cli.main(["path", "jaeger"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "expected jaeger 2.13.0 or newer, got none on PATH or in the cache; next step: make tools"
    )
    assert cli.main(["path", "etcd"]) == 1
    assert capsys.readouterr().err.endswith("next step: make kubernetes\n")


def test_free_ports_are_loopback_ports_nobody_else_was_given() -> None:
    given = [ports.free() for _ in range(100)]
    assert len(set(given)) == 100
    assert all(ports.is_free(port) for port in given)


def test_wheel_without_a_compiler_says_what_to_install(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["wheel"]) == 1
    said = capsys.readouterr().err
    assert "expected a C++ compiler on PATH, got none; next step: install one" in said
    assert "Traceback" not in said
    assert not list(cache.root().glob("*/*.making-*"))


def test_wheel_in_the_cache_is_not_built_again(capsys: pytest.CaptureFixture[str]) -> None:
    name, version = wheel.SOURCE.read_text().split()[0].split("==")
    folder = cache.folder(name, f"{version}-{wheel._digest()}")
    folder.mkdir(parents=True)
    (folder / "some.whl").touch()
    assert cli.main(["wheel"]) == 0
    assert capsys.readouterr().out == f"{folder / 'some.whl'}\n"


def test_an_environment_on_top_of_another_is_there_when_both_are() -> None:
    SGLANG.folder.mkdir(parents=True)
    assert not SGLANG.installed
    VLLM.folder.mkdir(parents=True)
    assert SGLANG.installed

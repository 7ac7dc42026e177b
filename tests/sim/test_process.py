"""The simulated server as a process: started, stopped, and told apart from one that cannot start."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from otel_llm.cli import main
from otel_llm.errors import ConfigError, RemoteError
from otel_llm.sim import Behaviour, SimProcess
from tests.sim.plain_client import ask

COMMAND = [sys.executable, "-m", "otel_llm.cli", "sim", "--port", "0"]


def test_a_process_behaves_as_told_and_hands_back_its_log() -> None:
    behaviour = Behaviour(ttft_ms=5, tokens=3, text=" a,b", role=False, fault="", seed=9)
    with SimProcess(behaviour, log=True) as sim:
        heard = ask(sim.url, headers={"x-request-id": "mine"})
        assert heard.texts() == [" a,b"] * 3
        (row,) = sim.log()
        assert (row["id"], row["tokens"]) == ("mine", 3)
        assert heard.sent_ns < row["recv"] < row["first_token"] <= heard.arrivals()[0]
        stats = sim.stats()
        assert (stats["requests"], stats["waiting"]) == (1, 0)
        assert stats["cpu_s"] >= stats["cpu_system_s"] >= 0
        assert sim.reset()["requests"] == 0
        assert sim.log() == []
        pid = sim.pid
    assert sim.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid or 0, 0)


def test_a_process_that_cannot_start_says_so() -> None:
    with SimProcess() as sim:
        port = int(sim.url.rsplit(":", 1)[1])
        with pytest.raises(RemoteError, match="expected the simulated server to start"):
            SimProcess(port=port).__enter__()


def test_a_process_without_a_log_says_how_to_get_one() -> None:
    with SimProcess() as sim, pytest.raises(ConfigError, match="make it with log=True"):
        sim.log()


def test_options_say_the_whole_behaviour() -> None:
    assert Behaviour().as_options() == []
    assert Behaviour(ttft_ms=2, role=False).as_options() == ["--ttft-ms=2", "--role=False"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_0_and_its_rows_are_written(number: int, tmp_path: Path) -> None:
    log = tmp_path / "sent.jsonl"
    child = subprocess.Popen([*COMMAND, "--log", str(log), "--tokens", "2"], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    said = child.stdout.readline()
    assert said.startswith("listening on http://127.0.0.1:")
    ask(said.split()[-1])
    child.send_signal(number)
    assert (child.communicate()[0], child.returncode) == ("", 0)
    assert log.read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--ttft-ms", "fast"],
            "expected a number for the knob ttft_ms, got 'fast'; see the knobs in `otel-llm sim --h",
        ),
        (["--log", "/nowhere/sent.jsonl"], "expected a file that can be written as --log, got [Errno 2] No such file"),
        (
            ["--port", "99999"],
            "expected an address to listen on as 127.0.0.1:99999, got 99999; choose a --port of 0 to",
        ),
        (
            ["--host", "no.such.host.invalid"],
            "expected an address to listen on as no.such.host.invalid:8000, got",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line_and_2(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sim", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"otel-llm sim: {says}")


def test_every_knob_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["sim", "--help"])
    shown = capsys.readouterr().out
    assert [name for name in Behaviour.__dataclass_fields__ if f"--{name.replace('_', '-')}" not in shown] == []


def test_a_line_of_help_can_be_read_alone(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main(["sim", "--help"])
    lines = {
        words[0]: words[2] for line in capsys.readouterr().out.splitlines() if len(words := line.split(None, 2)) > 2
    }
    assert lines["--split"] == "pieces that each write is cut into (1)"
    assert lines["--split-gap-ms"] == "pause between the pieces of a write (0.0)"
    assert lines["--role-ms"] == "when what opens a stream leaves; below 0: with the first token (-1.0)"
    assert lines["--empty"] == "chunks without text after the role chunk (0)"
    assert lines["--fault"] == "what goes wrong: 429, 500, 503, disconnect, stall, badjson, error (none)"
    assert lines["--seed"] == "seed of jitter and faults (1)"

"""`otel-llm run`: a program as it is, its calls as lines on stderr, and a summary."""

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from otel_llm import conventions
from otel_llm.sim import Behaviour, SimServer
from otel_llm.testing import OtlpReceiver

NESTED = """
import sys
import otel_llm

@otel_llm.metrics(model="inner")
def inner():
    yield from "abcde"

@otel_llm.metrics(model="outer")
def outer():
    return list(inner())

@otel_llm.metrics(model="breaks")
def breaks():
    yield "a"
    raise RuntimeError("on purpose")

outer()
try:
    list(breaks())
except RuntimeError:
    print(__name__, sys.argv)
"""
OPENAI = """
import sys
import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
messages = [{"role": "user", "content": "hi"}]
options = {"include_usage": True}
for _ in client.chat.completions.create(model="tiny", messages=messages, stream=True, stream_options=options):
    pass
"""


def run(*words: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    known = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHONPATH"))}
    command = [sys.executable, "-m", "otel_llm", "run", *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=folder, env={**known, **environment}, check=False
    )


def program(folder: Path, text: str) -> str:
    (folder / "app.py").write_text(text)
    return "app.py"


def test_each_call_is_a_line_below_the_calls_inside_it_and_counted_once(tmp_path: Path) -> None:
    done = run(program(tmp_path, NESTED), "--help", "x", folder=tmp_path)
    assert done.stdout == "__main__ ['app.py', '--help', 'x']\n"
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert re.match(r"  chat inner +TTFT +[\d.]+ ms +[\d.,]+ tokens/s +5 out +[\d.]+ ms$", lines[0])
    assert re.match(r"chat outer +[\d.,]+ tokens/s +5 out +[\d.]+ ms$", lines[1])
    assert re.match(r"chat breaks .* error RuntimeError$", lines[2])
    assert "\x1b" not in done.stderr
    assert [line.split()[:4] for line in lines[5:]] == [["chat", "outer", "1", "0"], ["chat", "breaks", "1", "1"]]


LONG = """
import otel_llm

@otel_llm.metrics(model="meta-llama/Llama-3.3-70B-Instruct-with-a-name-of-its-own")
def long(ends):
    yield "a"
    if ends:
        raise RuntimeError("on purpose")

@otel_llm.metrics(model="short")
def short():
    raise ConnectionRefusedError

list(long(False))
for broken in (lambda: list(long(True)), short):
    try:
        broken()
    except (RuntimeError, OSError):
        pass
"""


def on_a_terminal(file: str, folder: Path, columns: int, **environment: str) -> str:
    """Return what `run` of a program writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    known = {
        name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHONPATH", "NO_COL"))
    }
    command = [sys.executable, "-m", "otel_llm", "run", file]
    started = subprocess.Popen(command, cwd=folder, env={**known, **environment}, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # what a terminal says when nobody writes to it any more
        while part := os.read(ours, 65536):
            shown += part
    os.close(ours)
    assert started.wait(60) == 0
    return shown.decode().replace("\r\n", "\n")


def test_a_terminal_of_80_columns_wraps_nothing(tmp_path: Path) -> None:
    """Names that are too long stand above their numbers, and what ended before anything came says so in their place."""
    shown = on_a_terminal(program(tmp_path, LONG), tmp_path, 80)
    lines = [re.sub(r"\x1b\[\d+m", "", line.rpartition("\r")[2]) for line in shown.split("\n")[:-1]]
    assert max(map(len, lines)) <= 80
    name = "chat meta-llama/Llama-3.3-70B-Instruct-with-a-name-of-its-own"
    assert (lines[0], lines[2]) == (name, name)
    assert re.match(r" {21}TTFT +[\d.]+ ms +[\d.,]+ tokens/s +1 out +[\d.]+ ms$", lines[1])
    assert lines[4] == f"{'':21}error RuntimeError"
    assert re.match(r"chat short +error ConnectionRefusedError +[\d.]+ ms$", lines[5])
    assert lines[7].split()[:3] == ["calls", "failed", "TTFT"]
    assert lines[8] == name
    assert lines[9].split()[:2] == ["2", "1"]
    assert lines[10].split()[:4] == ["chat", "short", "1", "1"]


def test_a_call_begins_a_line_where_the_program_has_not_ended_its_own(tmp_path: Path) -> None:
    """The spaces wrap after a text, and not after nothing; then the cursor is in the first column of a line."""
    file = program(tmp_path, LONG.replace("list(long(False))", "print('text', end='', flush=True)"))
    assert re.match(r"text {79}\rchat meta-llama", on_a_terminal(file, tmp_path, 80))


def test_what_a_program_configures_itself_is_no_complaint_where_calls_are_shown(tmp_path: Path) -> None:
    named = "import otel_llm\notel_llm.configure(service_name='mine', show=True)\n" + NESTED
    assert "configure" not in run(program(tmp_path, named), folder=tmp_path).stderr


def test_a_program_that_says_itself_where_to_export_is_shown_as_well(tmp_path: Path) -> None:
    with OtlpReceiver() as receiver:
        to = f"import otel_llm\notel_llm.configure({receiver.grpc_endpoint!r}, service_name='mine')\n"
        done = run(program(tmp_path, to * 2 + NESTED), folder=tmp_path)
        assert {span.resource["service.name"] for span in receiver.spans} == {"mine"}
        assert len(receiver.spans) == 3
        assert conventions.instrument("operation_duration").v1_41 in receiver.metric_names()
    assert "configure" not in done.stderr
    assert "chat outer" in done.stderr
    with OtlpReceiver() as receiver:
        then = f"otel_llm.configure({receiver.grpc_endpoint!r}, service_name='other')\n"
        done = run(program(tmp_path, to + then + NESTED), folder=tmp_path)
        assert receiver.spans == []
    assert "was called before with other arguments" in done.stderr


def test_errors_are_red_unless_no_color_is_set(tmp_path: Path) -> None:
    file = program(tmp_path, LONG)
    assert "\x1b[31merror ConnectionRefusedError\x1b[0m" in on_a_terminal(file, tmp_path, 120)
    assert "\x1b" not in on_a_terminal(file, tmp_path, 120, NO_COLOR="1")


def test_a_name_can_neither_move_the_cursor_nor_begin_a_line_of_its_own(tmp_path: Path) -> None:
    named = 'import otel_llm\n@otel_llm.metrics(model="a\\x1b[2J\\nchat forged")\ndef f():\n    return "x"\nf()\n'
    done = run(program(tmp_path, named), folder=tmp_path)
    assert "\x1b" not in done.stderr
    assert r"chat a\x1b[2J\nchat forged" in done.stderr
    assert not re.search("^chat forged", done.stderr, re.MULTILINE)


def test_a_library_is_measured_and_its_tokens_are_the_providers(tmp_path: Path) -> None:
    with SimServer(Behaviour(ttft_ms=100, itl_ms=5, tokens=6)) as sim:
        done = run(program(tmp_path, OPENAI), sim.url + "/v1", folder=tmp_path)
    line, *_, total = done.stderr.splitlines()
    first = re.match(r"chat tiny +TTFT +(\d+) ms .* 6 out ", line)
    assert first is not None, line
    assert int(first[1]) >= 100
    assert re.match(rf"chat tiny +1 +0 +{first[1]} ms ", total), total


def test_it_also_exports_where_an_endpoint_is_given(tmp_path: Path) -> None:
    with OtlpReceiver() as receiver:
        done = run("--otlp-endpoint", receiver.grpc_endpoint, program(tmp_path, NESTED), folder=tmp_path)
        assert len(receiver.spans) == 3
        assert {span.resource["service.name"] for span in receiver.spans} == {"app"}
    assert "chat outer" in done.stderr


def test_a_module_and_a_command_are_programs_too(tmp_path: Path) -> None:
    assert run("-m", "app", folder=tmp_path).returncode == 1
    program(tmp_path, NESTED)
    assert run("-m", "app", folder=tmp_path).stdout.startswith("__main__")
    assert run("python", "app.py", folder=tmp_path).stdout.startswith("__main__")


def test_the_program_is_told_to_stop_and_its_calls_are_summed_up(tmp_path: Path) -> None:
    done = run(
        program(tmp_path, NESTED + "\nimport os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n"), folder=tmp_path
    )
    assert done.returncode == -signal.SIGTERM
    assert "tokens/s p50" in done.stderr


def test_each_process_tells_of_its_own_calls(tmp_path: Path) -> None:
    forked = NESTED + "\nimport multiprocessing\nchild = multiprocessing.get_context('fork').Process(target=outer)\n"
    done = run(program(tmp_path, forked + "child.start()\nchild.join()\n"), folder=tmp_path)
    totals = [line.split()[:3] for line in done.stderr.splitlines() if re.match(r"chat \w+ +\d+ +\d+ ", line)]
    assert totals == [["chat", "outer", "1"], ["chat", "outer", "1"], ["chat", "breaks", "1"]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "expected a program"),
        (("none.py",), "expected a Python file that exists, got 'none.py'"),
        (("no-such-command",), "expected a command on PATH, or a Python file"),
        (("--otlp-endpoint", "here", "app.py"), "expected the base URL of an OTLP receiver, got 'here'"),
        (("--colour", "app.py"), "unrecognized arguments: --colour"),
    ],
)
def test_what_cannot_be_run_is_one_line_and_exit_code_2(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    program(tmp_path, NESTED)
    done = run(*words, folder=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert said in done.stderr


def test_an_endpoint_without_a_scheme_is_plain_http_for_the_program_too(tmp_path: Path) -> None:
    told = program(tmp_path, "import os\nprint(os.environ['OTEL_EXPORTER_OTLP_ENDPOINT'])\n")
    assert run("--otlp-endpoint", "127.0.0.1:9", told, folder=tmp_path).stdout == "http://127.0.0.1:9\n"
    assert run("--otlp-endpoint", "localhost", told, folder=tmp_path).stdout == "http://localhost:4317\n"


def test_a_program_runs_where_telemetry_cannot(tmp_path: Path) -> None:
    done = run(program(tmp_path, NESTED), folder=tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="ftp:x")
    assert done.stdout.startswith("__main__")
    assert done.stderr.splitlines()[0].startswith("the program runs unmeasured: ")

"""A secret stands in no file and on no screen, wherever it was given and whoever repeats it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_llm.load.plan.option_values import parse_headers
from otel_llm.load.show.redact import redact, redact_url
from otel_llm.load.show.secrets import Secrets
from otel_llm.testing import CLOSE, ScriptedServer, timeline
from otel_llm.visible import on_one_line, visible
from otel_llm.wire.repeats import Content
from tests.load.conftest import Perf

Run = Callable[..., Perf]
KEY = "sk-PLANTED0123456789abcdef"
TOKEN = (
    b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + TOKEN


def refusal(text: str) -> bytes:
    """A 401 whose body is this text."""
    return f"HTTP/1.1 401 X\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


def written(run: Perf) -> str:
    """Everything that a run left: its files, and what it printed."""
    files = (path.read_bytes().decode("utf-8", "replace") for path in run.folder.iterdir())
    return "\n".join((*files, run.out, run.err))


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        (f"?code={KEY}", []),
        (f"?{KEY}", []),
        (f"?subscription-id={KEY}&api-version=2024-10-21", []),
        ("", ["--headers", f"Authorization: Bearer {KEY}=="]),
        ("", ["--headers", f"X-Session-Id={KEY}", f"X-Tenant: {KEY}"]),
        ("", ["--parameters", f'x=[{{"api_key":"{KEY}"}}]']),
        ("", ["--parameters", f"api_key={KEY}", "--debug"]),
        ("", ["--parameters", f'extra={{"a":[["{KEY}"]]}}']),
        ("", ["--parameters", f'auth=["{KEY}"]', "--no-content"]),
    ],
)
def test_a_secret_is_written_nowhere(perf: Run, query: str, arguments: list[str]) -> None:
    jsonl = [] if "--no-content" in arguments else ["--jsonl", "records.jsonl"]
    with ScriptedServer([ANSWER, CLOSE]) as server:
        url = f"{server.url}/v1/chat/completions{query}"
        run = perf("--url", url, "--model", "m", "--prompt", "x", *jsonl, *arguments)
        asked = server.requests[0]
    assert run.code == 0, run.err
    assert KEY in asked.path + str(asked.headers) + asked.body.decode()  # the server was given it
    assert KEY not in written(run)


@pytest.mark.parametrize("extra", [[], ["--no-content"], ["--debug"]])
def test_a_key_that_a_server_repeats_is_struck_out(perf: Run, extra: list[str]) -> None:
    with ScriptedServer([refusal(f"wrong key: Bearer {KEY}, for PLANTED-PROMPT-7"), CLOSE]) as server:
        url = f"{server.url}/v1/chat/completions"
        run = perf(
            "--url", url, "--model", "m", "--prompt", "PLANTED-PROMPT-7", "--api-key-env", "MINE", *extra,
            env={**os.environ, "MINE": KEY},
        )  # fmt: skip
    assert run.code == 1
    assert KEY not in written(run)
    files = b"".join(path.read_bytes() for path in run.folder.iterdir() if path.name != "report.json")
    assert (b"PLANTED-PROMPT-7" in files) is ("--no-content" not in extra)


def test_a_key_that_an_answer_repeats_is_struck_out() -> None:
    secrets = Secrets(["Bearer a/long+secret", "a/long+secret", "tiny"])
    content = Content()
    content.add([b'{"content":"the key a\\/long+secret, tiny"}', b"more"])
    content.add([b"a/long+secret"])
    struck = secrets.clean_content(content)
    assert struck is not None
    assert struck.events() == [b'{"content":"the key [redacted], tiny"}', b"more", b"[redacted]"]
    assert "long" not in struck.to_json()
    other = Content()
    other.add([b"nothing"])
    assert secrets.clean_content(other) is other
    record = timeline("r..a|")
    assert secrets.clean_record(record) is record


def test_the_report_is_for_its_owner_alone(perf: Run) -> None:
    with ScriptedServer([ANSWER, CLOSE]) as server:
        run = perf("--url", f"{server.url}/v1/chat/completions", "--model", "m", "--prompt", "x")
    modes = {path.name: path.stat().st_mode & 0o777 for path in run.folder.iterdir()}
    assert modes == {"report.json": 0o600, "run.db": 0o600}


def test_a_report_does_not_follow_a_link_that_lies_beside_it(tmp_path: Path) -> None:
    from otel_llm.load.show.result_file import write_json

    victim, target = tmp_path / "victim", tmp_path / "report.json"
    victim.write_text("untouched")
    (tmp_path / "report.json.part").symlink_to(victim)
    write_json(target, {"schema": 1})
    assert victim.read_text() == "untouched"
    assert json.loads(target.read_text()) == {"schema": 1}


@pytest.mark.parametrize(
    ("item", "name", "value"),
    [
        ("Authorization=Bearer a==", "Authorization", "Bearer a=="),
        ("Authorization: Bearer a==", "Authorization", "Bearer a=="),
        ("X-Url=http://a:1/b=c", "X-Url", "http://a:1/b=c"),
        ("X-Number=5", "X-Number", "5"),
        ("X-Empty:", "X-Empty", ""),
    ],
)
def test_a_header_is_split_at_the_end_of_its_name(item: str, name: str, value: str) -> None:
    assert parse_headers([item]) == {name: value}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("http://me:pw@a/v1", "http://[redacted]@a/v1"),
        ("http://a/v1?code=x", "http://a/v1?code=[redacted]"),
        ("http://a/v1?api-version=2024-10-21", "http://a/v1?api-version=2024-10-21"),
        ("http://a/v1?%73%69%67=abc", "http://a/v1?%73%69%67=[redacted]"),
        (f"http://a/{KEY}/v1", "http://a/[redacted]/v1"),
        ("http://a/v1#" + KEY, "http://a/v1#[redacted]"),
    ],
)
def test_a_url_is_shown_without_secrets(given: str, shown: str) -> None:
    assert redact_url(given) == shown


def test_what_holds_no_secret_is_kept() -> None:
    given = {
        "headers": {"Accept": "text/event-stream", "User-Agent": "a-long-user-agent/1.0"},
        "parameters": {"max_tokens": 5, "tools": [{"properties": {"api_key": {"type": "string"}}}]},
        "model": "meta-llama/Llama-3.1-8B-Instruct", "slo": ["ttft=0.5"], "api_key_env": "OPENAI_API_KEY",
    }  # fmt: skip
    assert redact(given) == given


def test_what_was_typed_wrong_is_not_repeated(tmp_path: Path) -> None:
    for words in (
        ["--url", f"ftp://host/?api-key={KEY}"], ["--api-key-env", KEY], ["--headers", KEY], ["--api-key", KEY],
        [f"--api-key={KEY}"], ["--parameters", KEY], ["--url", f"http://me:{KEY}@host:x/"],
    ):  # fmt: skip
        command = [sys.executable, "-m", "otel_llm.cli", "perf", "--model", "m", "--prompt", "x", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 2, words
        assert KEY not in done.stdout + done.stderr, words
        assert len(done.stderr.splitlines()) == 1, done.stderr


def test_control_characters_are_shown() -> None:
    assert visible("\x1b]0;x\x07\x1b[2J\r\x9b1m\u202eabc\tü\n") == "\\x1b]0;x\\x07\\x1b[2J\\r\\x9b1m\\u202eabc\tü\n"
    assert on_one_line("a\nb\u2028c\x85") == "a\\nb\\u2028c\\x85"
    assert on_one_line("plain ✓ 文") == "plain ✓ 文"


def test_a_server_moves_no_cursor_and_forges_no_line(perf: Run) -> None:
    escape = "\\u001b]0;pwned\\u0007\\u001b[2J"
    with ScriptedServer([ANSWER.replace(b"hi", escape.encode()), CLOSE]) as server:
        run = perf("--url", f"{server.url}/v1/chat/completions", "--model", "m", "--prompt", "x", "--debug")
    command = [sys.executable, "-m", "otel_llm.cli", "report", str(run.run_file), "--requests"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "\x1b" not in shown + run.out + run.err
    assert "completion: \\x1b]0;pwned" in shown
    forged = "2026-01-01 00:00:00,000 - perf - forged"
    with ScriptedServer([refusal(f"\x1b[2J\n{forged}"), CLOSE]) as server:
        run = perf("--url", f"{server.url}/v1/chat/completions", "--model", "m", "--prompt", "x", "--debug")
    assert "\x1b" not in run.out + run.err
    assert not any(line.startswith(forged) for line in run.err.splitlines())

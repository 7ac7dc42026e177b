"""What a server says is wrong is on the terminal, in the report and in the run file, in its own words."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from otel_llm.sinks.stored_run import read_records
from otel_llm.testing import CLOSE, ScriptedServer
from otel_llm.wire.server_words import error_in, sentence_of
from tests.load.conftest import Perf
from tests.load.test_exchange import DONE, END, HEAD, HELLO, Wire, chunk
from tests.load.test_odd_answers import said, to

Run = Callable[..., Perf]

SECRET = "a text of the user's"

SHAPES: list[tuple[Any, tuple[str, str] | None]] = [
    ({"error": {"message": "no such model", "type": "invalid", "code": 404}}, ("invalid", "no such model")),
    ({"error": {"message": "no such model", "code": "model_not_found"}}, ("model_not_found", "no such model")),
    ({"error": "model is required"}, ("error", "model is required")),
    ({"error": True, "message": "busy", "code": 7}, ("7", "busy")),
    ([{"error": {"message": "quota", "status": "RESOURCE_EXHAUSTED"}}], ("RESOURCE_EXHAUSTED", "quota")),
    ({"object": "error", "message": "CUDA out of memory", "type": "oom"}, ("oom", "CUDA out of memory")),
    ({"detail": "model not loaded"}, ("error", "model not loaded")),
    (
        {"detail": [{"loc": ["body"], "msg": "field required"}]},
        ("error", "body: field required"),
    ),
    (
        {
            "detail": [  # as infinity 0.0.78 refuses 5 for a list of texts
                {"type": "list_type", "loc": ["body", "text", "input"], "msg": "should be a list", "input": SECRET},
                {"type": "string_type", "loc": ["body", 0], "msg": "should be a string", "input": SECRET},
            ]
        },
        ("error", "body.text.input: should be a list; body.0: should be a string"),
    ),
    ({"detail": ["odd"]}, ("error", "['odd']")),
    ({"detail": [{"loc": 5, "msg": "odd"}]}, ("error", "[{'loc': 5, 'msg': 'odd'}]")),
    ({"code": 10013, "msg": "quota exceeded"}, ("10013", "quota exceeded")),
    ({"errors": [{"message": "one"}, {"message": "two"}]}, ("error", "one")),
    (
        {"type": "about:blank", "title": "Bad Gateway", "detail": "upstream is down"},
        ("about:blank", "upstream is down"),
    ),
    ({"error": {"message": "half \ud83d", "type": "\ude00"}}, ("\ufffd", "half \ufffd")),
    ({"choices": [], "message": "no error"}, None),
    ({"error": None, "output": {}, "message": ""}, None),
    ({"id": "c"}, None),
    ("text", None),
]


@pytest.mark.parametrize(("body", "found"), SHAPES)
def test_errors_of_every_known_shape(body: Any, found: tuple[str, str] | None) -> None:
    assert error_in(json.dumps(body).encode()) == found
    assert sentence_of(json.dumps(body)) == (json.dumps(body) if found is None else found[1])


def test_a_refusal_that_repeats_the_request_is_quoted_without_it_also_where_it_is_cut_off() -> None:
    wrong = [
        {
            "type": "list_type",
            "loc": ["body", "list[str]", 0],
            "msg": 'no "list"',
            "input": f'"loc":[],"msg":"{SECRET}"',
        }
    ]
    whole = json.dumps({"detail": wrong})
    said = 'body.list[str].0: no "list"'
    cuts = [sentence_of(whole[:at]) for at in range(whole.index('"input": '), len(whole) + 1)]
    assert set(cuts) == {said}


@pytest.mark.parametrize(("body", "found"), [each for each in SHAPES if each[1]])
def test_an_error_that_came_as_a_good_answer_is_quoted(body: Any, found: tuple[str, str]) -> None:
    data = json.dumps(body).encode()
    whole = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data)
    record = Wire().read(whole + data).record
    assert found[1] in str(record.error_message)
    record = Wire().read(HEAD + chunk(HELLO), chunk(b"data: " + data + b"\n\n"), chunk(DONE) + END).record
    assert (record.ok, found[1] in str(record.error_message)) == (False, True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            chunk(HELLO) + chunk(b"event: error\ndata: upstream timed out after 60 s\n\n"),
            "upstream timed out after 60 s",
        ),
        (chunk(b"<html><h1>502 Bad Gateway</h1></html>"), "<h1>502 Bad Gateway</h1>"),
        (chunk(said(object="error", message="out of memory", code=500)) + chunk(DONE), "out of memory"),
        (chunk(HELLO) + chunk(DONE), "--no-finish-reason"),
    ],
)
def test_what_is_no_json_is_quoted_as_it_came(body: bytes, words: str) -> None:
    record = Wire().read(HEAD + body + END).record
    assert not record.ok
    assert words in str(record.error_message)


KEY = "sk-0123456789abcdef"
REFUSAL = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}.\n\x1b[2J\x1b]0;owned\x07"}}).encode()


def refusal(status: bytes, body: bytes, kind: bytes = b"application/json") -> list[Any]:
    return [
        b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
        % (status, kind, len(body), body),
        CLOSE,
    ]


def test_the_servers_words_are_shown_once_for_each_kind(perf: Run) -> None:
    """First contact: a key that is refused, a page of a proxy. Neither the key nor an escape sequence gets out."""
    page = b"<html><body>no healthy upstream</body></html>"
    with ScriptedServer(refusal(b"401 No", REFUSAL), refusal(b"503 No", page, b"text/html")) as server:
        run = perf(*to(server), "-n", "4", "--headers", f"Authorization=Bearer {KEY}")
    shown = r"Incorrect API key provided: [redacted].\n\x1b[2J\x1b]0;owned\x07"
    assert run.code == 1
    assert f"HTTP 401: {shown}" in run.out
    assert f"HTTP 503: {page.decode()}" in run.out
    assert run.report["error_samples"] == {
        "401": "Incorrect API key provided: [redacted].\n\x1b[2J\x1b]0;owned\x07",
        "503": page.decode(),
    }
    command = [sys.executable, "-m", "otel_llm.cli", "report", str(run.run_file)]
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"HTTP 401: {shown}" in again.stdout
    assert KEY.encode() not in run.run_file.read_bytes()
    for text in (run.out, run.err, again.stdout):
        assert KEY not in text
        assert "\x1b" not in text
    assert {record.error_type for record in read_records(run.run_file)} == {"401", "503"}


def test_text_of_a_server_moves_no_cursor_and_forges_no_line(perf: Run) -> None:
    evil = "a\x1b]0;owned\x07\n2026-11-27 00:00:00,000 - perf - forged"
    stop = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
    answer = [HEAD + chunk(said(choices=[{"delta": {"content": evil}}])) + chunk(stop) + chunk(DONE) + END]
    with ScriptedServer(answer, refusal(b"500 No", evil.encode(), b"text/plain")) as server:
        run = perf(*to(server), "-n", "2", "--debug")
    command = [sys.executable, "-m", "otel_llm.cli", "report", str(run.run_file), "--requests"]
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    for text in (run.out, run.err, again.stdout):
        assert "\x1b" not in text
        assert not any(line.startswith("2026-11-27 00:00:00,000") for line in text.splitlines())
    assert r"a\x1b]0;owned\x07\n2026" in again.stdout


def test_a_url_that_is_refused_names_the_protocol_it_was_taken_for(perf: Run) -> None:
    with ScriptedServer(refusal(b"400 No", b'{"error": "inputs is required"}')) as server:
        url = f"{server.url}/my/generate_stream"
        run = perf("--url", url, "--model", "m", "--prompt", "x")
        named = perf("--url", url, "--model", "m", "--prompt", "x", "--protocol", "tgi_generate")
    assert "taken for tgi_generate; --protocol names another" in run.out
    assert "taken for tgi" not in named.out
    assert "HTTP 400: inputs is required" in run.out

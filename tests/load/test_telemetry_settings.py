"""Telemetry that goes nowhere is said; settings that cannot be are one line; a terminal of few letters is no crash."""

import os
import socket
from collections.abc import Callable

import pytest

from otel_llm.testing import CLOSE, ScriptedServer
from tests.load.conftest import Perf
from tests.load.test_secrets import ANSWER, KEY, written

Run = Callable[..., Perf]
REFUSED = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno"


def asked(perf: Run, *arguments: str, env: dict[str, str]) -> Perf:
    with ScriptedServer([ANSWER, CLOSE]) as server:
        words = ["--url", f"{server.url}/v1/chat/completions", "--model", "m", "--prompt", "x", *arguments]
        return perf(*words, env={**os.environ, **env})


def test_telemetry_that_a_receiver_refuses_is_said(perf: Run) -> None:
    with ScriptedServer([REFUSED, CLOSE]) as receiver:
        endpoint = receiver.url.replace("//", f"//me:{KEY}@")
        run = asked(perf, "--otlp-endpoint", endpoint, "--otlp-protocol", "http/protobuf", env={})
    assert run.code == 0
    (note,) = (note for note in run.report["notes"] if note.startswith("telemetry dropped"))
    assert "1 of 1 spans" in note
    assert "404" in note
    assert "telemetry dropped: 1 of 1 spans" in run.out
    assert "Failed to export" not in run.err
    assert KEY not in written(run)
    assert run.report["telemetry"]["spans"] == {"recorded": 1, "exported": 0, "dropped": 1}


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_that_nothing_listens_is_said_before_the_first_request_and_at_the_end(perf: Run, protocol: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        words = ["--otlp-endpoint", f"http://127.0.0.1:{port}", "--otlp-protocol", protocol]
        run = asked(perf, *words, env={"OTEL_EXPORTER_OTLP_TIMEOUT": "3"})
    assert run.code == 0
    (note,) = (note for note in run.report["notes"] if note.startswith("telemetry dropped"))
    assert note.endswith(f"nothing listens at 127.0.0.1:{port}: connection refused")
    warned = f"nothing listens at 127.0.0.1:{port}: telemetry is lost unless a receiver starts there before the end"
    assert run.err.count(warned) == 1


@pytest.mark.parametrize(
    ("arguments", "env", "where"),
    [
        (["--otlp-endpoint", "127.1.2.3"], {}, "127.1.2.3:4317"),
        (["--otlp-endpoint", "127.1.2.3", "--otlp-protocol", "http/protobuf"], {}, "127.1.2.3:4318"),
        ([], {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.1.2.3"}, "127.1.2.3:443"),
    ],
)
def test_an_endpoint_without_a_port_is_said_with_the_port_that_it_has(
    perf: Run, arguments: list[str], env: dict[str, str], where: str
) -> None:
    run = asked(perf, *arguments, env={"OTEL_EXPORTER_OTLP_TIMEOUT": "1", **env})
    assert run.code == 0
    assert run.err.count(f"nothing listens at {where}: telemetry is lost") == 1
    (note,) = (note for note in run.report["notes"] if note.startswith("telemetry dropped"))
    assert note.endswith(f"nothing listens at {where}: connection refused")


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        ([], {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:43l8"}),
        ([], {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_METRIC_EXPORT_INTERVAL": "0"}),
        (["--otlp-endpoint", f"http://127.0.0.1:9/?token={KEY}"], {}),
        (["--otlp-endpoint", f"http://me:{KEY}"], {}),
    ],
)
def test_settings_that_cannot_be_are_one_line(perf: Run, arguments: list[str], env: dict[str, str]) -> None:
    run = asked(perf, *arguments, env=env)
    assert run.code == 2
    assert run.err.count("\n") == 1
    assert KEY not in written(run)
    assert not list(run.folder.iterdir())


def test_a_terminal_of_few_letters_is_no_crash(perf: Run) -> None:
    run = asked(perf, env={"PYTHONIOENCODING": "ascii"})
    assert run.code == 0, run.err
    assert "client-limited" in run.out

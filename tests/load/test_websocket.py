"""`otel-llm perf` by WebSocket: what is counted and when, and which ends of an answer are none."""

import ssl
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import trustme

from otel_llm.errors import ConfigError
from otel_llm.load import run
from otel_llm.load.plan.transport import check_transport
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.stored_run import read_records
from otel_llm.wire.discovery import load_protocol
from otel_llm.wire.target import Target
from tests.load.conftest import Perf
from tests.load.websocket_server import TOKENS, WebSocketServer

Run = Callable[..., Perf]
TTFT, ITL = 0.060, 0.006
OPTIONS = ("--model", "m", "--prompt", "hi")


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with SimProcess(Behaviour(ttft_ms=TTFT * 1e3, itl_ms=ITL * 1e3, tokens=11, role_ms=0), log=True) as server:
        yield server


@pytest.fixture(scope="module")
def server() -> Iterator[WebSocketServer]:
    with WebSocketServer() as running:
        yield running


def by_socket(sim: SimProcess) -> str:
    return sim.url.replace("http", "ws", 1)


def check_against_log(report: dict[str, Any], rows: list[dict[str, Any]], number: int) -> None:
    """Counts are exact, and no time is earlier than it was at the server."""
    measures = report["measures"]
    assert report["requests"]["succeeded"] == len(rows) == number
    assert measures["time_to_first_token"]["count"] == number
    assert measures["inter_token_latency"]["count"] == number * 10
    assert measures["output_tokens"]["mean"] == 11
    first = sum(row["first_token"] - row["recv"] for row in rows) / (number * 1e9)
    means = (measures[what]["mean"] for what in ("time_to_first_token", "inter_token_latency", "request_latency"))
    ttft, gap, latency = means
    assert first <= ttft <= ttft + 10 * gap <= latency + 1e-9


def test_responses_are_measured_and_openais_client_accepts_the_same_server(perf: Run, sim: SimProcess) -> None:
    sim.reset()
    done = perf("--url", by_socket(sim), "--protocol", "openai_responses", *OPTIONS, "-n", "6", "--parallel", "3")
    assert done.code == 0, done.err
    check_against_log(done.report, sim.log(), 6)
    records = list(read_records(done.run_file))
    assert sum(record.connect_ns is not None for record in records) == 3  # connections are kept
    assert "kernel receive stamps" in done.out
    assert "requests went to /v1/responses" in done.out
    with openai.OpenAI(base_url=sim.url + "/v1", api_key="none") as client, client.responses.connect() as connection:
        for _ in range(2):
            connection.response.create(model="m", input="hi")
            events = []
            for event in connection:
                events.append(event)
                if event.type == "response.completed":
                    break
            assert events[-1].response.output_text == " tok" * 11  # type: ignore[union-attr]
            assert sum(event.type == "response.output_text.delta" for event in events) == 11


@pytest.mark.parametrize("modality", ["text", "audio"])
def test_realtime_is_measured_and_openais_client_accepts_the_same_server(
    tmp_path: Path, sim: SimProcess, modality: str
) -> None:
    sim.reset()
    options = {"protocol": "openai_realtime", "parameters": [f'output_modalities=["{modality}"]']}
    report = report_of(tmp_path, url=by_socket(sim), number=6, parallel=3, **options)
    check_against_log(report, sim.log(), 6)
    measures = report["measures"]
    figures = [measures[name] for name in ("time_to_first_audio", "audio_duration", "real_time_factor")]
    if modality == "audio":
        first, length, factor = figures
        assert measures["time_to_first_token"]["mean"] <= first["mean"] < measures["request_latency"]["mean"]
        assert length["min"] == length["max"] == pytest.approx(11 * 0.04)  # 40 ms each
        assert factor["mean"] == pytest.approx(measures["request_latency"]["mean"] / (11 * 0.04))
    else:
        assert [each["count"] for each in figures] == [0, 0, 0]
    assert report["flags"] == {}
    with openai.OpenAI(base_url=sim.url + "/v1", api_key="none") as client, client.realtime.connect(model="m") as talk:
        talk.session.update(session={"type": "realtime", "output_modalities": [modality]})  # type: ignore[list-item]
        said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
        talk.conversation.item.create(item=said)  # type: ignore[arg-type]  # as documented
        talk.response.create()
        kinds = list[str]()
        for event in talk:
            kinds.append(event.type)
            if event.type == "response.done":
                break
    assert kinds[:3] == ["session.created", "session.updated", "conversation.item.added"]
    assert kinds.count("response.output_text.delta" if modality == "text" else "response.output_audio.delta") == 11


def report_of(folder: Path, **options: Any) -> dict[str, Any]:
    """Return the report of a run in this process: as the command's, in half the time."""
    done = run(model="m", prompt="hi", name=str(folder / "run.db"), **options)
    return dict(done.report)


def test_frames_that_come_in_pieces_and_together_are_the_same_answer(tmp_path: Path, sim: SimProcess) -> None:
    sim.reset()
    report = report_of(
        tmp_path, url=by_socket(sim) + "/v1/responses", number=3, headers=["x-sim=split=3,ev_per_write=4"]
    )
    check_against_log(report, sim.log(), 3)


@pytest.mark.parametrize("fault", ["429", "error"])
def test_errors_of_the_simulator_are_failures(tmp_path: Path, sim: SimProcess, fault: str) -> None:
    ask = {"url": by_socket(sim) + "/v1/responses", "headers": [f"x-sim=fault={fault},fault_at=3"]}
    assert report_of(tmp_path, number=2, **ask)["requests"]["errors"] == {"stream_error": 2}


@pytest.mark.parametrize(
    ("behaviour", "kind", "words"),
    [
        ("closes", "close_1011", "out of memory"),
        ("error", "stream_error", "the prompt is too long"),
        ("garbage", "bad_websocket", "invalid opcode"),
        ("not_json", "bad_event", "html"),
        ("cuts", "disconnect", "in the middle"),
    ],
)
def test_an_answer_that_breaks_is_a_failure_of_its_kind(
    tmp_path: Path, server: WebSocketServer, behaviour: str, kind: str, words: str
) -> None:
    report = report_of(tmp_path, url=server.url(behaviour), number=2)
    assert report["requests"]["errors"] == {kind: 2}
    assert all(words in (record.error_message or "") for record in read_records(tmp_path / "run.db"))
    assert server.opened[behaviour] == 2  # no connection is used again behind a failure


def test_fragments_pings_and_what_belongs_to_no_answer(perf: Run, server: WebSocketServer) -> None:
    for behaviour in ("fragments", "late"):
        done = perf("--url", server.url(behaviour), *OPTIONS, "-n", "4", "--headers", "X-Team=a")
        assert done.code == 0, done.err
        assert done.report["measures"]["output_tokens"]["mean"] == TOKENS
        assert all(record.chunks.kind.count(1) == TOKENS for record in read_records(done.run_file))
        assert server.opened[behaviour] == 1
    assert server.headers["x-team"] == "a"
    assert not {"content-length", "content-type", "transfer-encoding"} & set(server.headers)
    assert server.asked[-1] == {
        "type": "response.create", "model": "m", "input": [{"role": "user", "content": "hi"}],
    }  # fmt: skip
    assert server.close_codes[-1] == 1000, "expected a goodbye at the end of the run"


def test_a_connection_that_was_closed_while_it_was_kept_costs_no_request(
    tmp_path: Path, server: WebSocketServer
) -> None:
    assert report_of(tmp_path, url=server.url("once"), number=4)["requests"]["succeeded"] == 4


def test_a_silent_socket_times_out(tmp_path: Path, server: WebSocketServer) -> None:
    report = report_of(tmp_path, url=server.url("stalls"), read_timeout=0.5)
    assert report["requests"]["errors"] == {"read_timeout": 1}


def test_a_handshake_that_is_refused_ends_the_run_with_the_servers_words(perf: Run, server: WebSocketServer) -> None:
    done = perf("--url", server.url("refuses"), *OPTIONS, "-n", "2")
    assert done.code != 0
    assert "expected a WebSocket, got 'HTTP 401: no such key'" in done.out + done.err


def test_tls_is_verified_and_the_loops_transports_measure_too(perf: Run, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with WebSocketServer(context) as server:
        for transport in ("socket", "stream"):
            done = perf(
                "--url",
                server.url("whole"),
                *OPTIONS,
                "-n",
                "2",
                "--ca",
                str(tmp_path / "ca.pem"),
                "--transport",
                transport,
            )
            assert done.code == 0, done.err
            assert done.report["requests"]["succeeded"] == 2
        refused = perf("--url", server.url("whole"), *OPTIONS)
    assert "TLS handshake" in refused.out + refused.err


@pytest.mark.parametrize(
    ("urls", "given", "words"),
    [
        (["ws://h/v1/responses"], {"protocol": "anthropic_messages"}, "a URL of http:// or https:// for anthropic"),
        (["ws://h/v1/responses", "http://h/v1/responses"], {}, "expected URLs of one transport"),
        (["ws://h/v1/responses"], {"no_stream": True}, "expected a WebSocket without --no-stream"),
        (["ws://h/v1/responses"], {"session_header": "X-S"}, "expected a WebSocket without --session-header"),
    ],
)
def test_what_a_socket_cannot_do_is_told_before_the_run(urls: list[str], given: dict[str, Any], words: str) -> None:
    args = Namespace(
        **{"no_stream": False, "session_header": None, "session_echo": None, "protocol": "openai_responses", **given}
    )
    with pytest.raises(ConfigError, match=words):
        check_transport([Target.parse(url) for url in urls], load_protocol(args.protocol), args)

"""The doubles that other tests stand on."""

import http.client
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from otel_llm.clock import now_ns
from otel_llm.sinks import Ended
from otel_llm.testing import CLOSE, RESET, STALL, CapturingSink, FakeClock, ScriptedServer, timeline

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def connect(server: ScriptedServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)


def raw(server: ScriptedServer) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    return client


def test_a_script_is_played_and_the_request_kept() -> None:
    with ScriptedServer([HELLO[:-3], 0.01, HELLO[-3:]]) as server:
        client = connect(server)
        client.request("POST", "/v1/x?y=1", b"body", {"X-Mine": "1"})
        assert client.getresponse().read() == b"hello"
        heard_ns = now_ns()
        client.close()
    (seen,) = server.requests
    assert (seen.method, seen.path, seen.version, seen.body, seen.connection) == (
        "POST",
        "/v1/x?y=1",
        "1.1",
        b"body",
        0,
    )
    assert seen.headers["x-mine"] == "1"
    first, second = server.sent_ns
    assert seen.seen_ns <= first < second < heard_ns
    assert second - first >= 9_000_000


def test_each_request_has_its_script_and_the_last_repeats() -> None:
    with ScriptedServer([HELLO], [HELLO.replace(b"hello", b"world")]) as server:
        client, said = connect(server), []
        for _ in range(3):
            client.request("GET", "/")
            said.append(client.getresponse().read())
        client.close()
    assert said == [b"hello", b"world", b"world"]
    assert server.connections == 1


def test_a_body_in_chunks_is_put_together() -> None:
    with ScriptedServer([HELLO]) as server:
        client = connect(server)
        client.request("POST", "/", iter([b"ab", b"c"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
        client.getresponse().read()
        client.close()
    assert server.requests[0].body == b"abc"


def test_close_cuts_in_the_middle_of_a_chunk() -> None:
    with ScriptedServer([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", CLOSE]) as server:
        client = connect(server)
        client.request("GET", "/")
        with pytest.raises(http.client.IncompleteRead):
            client.getresponse().read()


def test_http_1_0_ends_with_the_connection() -> None:
    with ScriptedServer([b"HTTP/1.0 200 OK\r\n\r\nhello", CLOSE]) as server:
        client = connect(server)
        client.request("GET", "/")
        assert client.getresponse().read() == b"hello"


def test_reset_breaks_the_connection() -> None:
    with ScriptedServer([HELLO[:20], RESET]) as server, raw(server) as client:
        heard = iter(lambda: client.recv(100), b"")
        with pytest.raises(ConnectionResetError):
            list(heard)


def test_stall_sends_nothing_until_the_end() -> None:
    with ScriptedServer([HELLO[:20], STALL]) as server:
        client = raw(server)
        assert client.recv(100) == HELLO[:20]
        client.settimeout(0.02)
        with pytest.raises(TimeoutError):
            client.recv(100)
        client.settimeout(30)
    assert client.recv(100) == b""
    client.close()


def test_a_server_leaves_no_thread_and_no_socket() -> None:
    before = set(threading.enumerate())  # of other tests; some may end meanwhile
    with ScriptedServer([60.0]) as server:
        clients = [raw(server) for _ in range(3)]
        while len(server.requests) < 3:
            pass
    assert set(threading.enumerate()) <= before
    assert [client.recv(1) for client in clients] == [b""] * 3
    for client in clients:
        client.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


def test_a_script_must_be_a_list() -> None:
    with pytest.raises(ValueError, match="expected one or more scripts, each a list of steps"):
        ScriptedServer(b"HTTP/1.1 200 OK\r\n\r\n")  # type: ignore[arg-type]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "both.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    try:
        subprocess.run([*command, "-keyout", path, "-out", tmp_path / "c.pem"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("expected openssl on PATH to make a certificate")
    path.write_bytes(path.read_bytes() + (tmp_path / "c.pem").read_bytes())
    return path


def test_tls(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    trusting.check_hostname = False
    with ScriptedServer([HELLO], [CLOSE], tls=context) as server:
        assert server.url.startswith("https://127.0.0.1:")
        client = http.client.HTTPSConnection("127.0.0.1", server.port, context=trusting, timeout=30)
        client.request("GET", "/")
        assert client.getresponse().read() == b"hello"
        client.request("GET", "/")
        with pytest.raises(http.client.RemoteDisconnected):
            client.getresponse()
        client.close()
        idle = socket.create_connection(("127.0.0.1", server.port))  # one that never shakes hands holds nobody up
        while server.connections < 2:
            pass
    idle.close()


def test_the_clock_moves_when_told_and_the_sink_remembers() -> None:
    clock = FakeClock(5, epoch_ns=100)
    clock.advance(seconds=1, ns=2)
    assert (clock.now_ns(), clock.wall_ns(7)) == (1_000_000_007, 107)
    sink = CapturingSink()
    record = timeline("r..a.b|")
    sink.take(Ended.of(record, record))
    sink.close()
    assert (sink.records, sink.closes) == ([record, record], 1)

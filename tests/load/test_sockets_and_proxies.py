"""Ways to a server: Unix sockets, proxies, the loop's own transports, several workers; each with real sockets."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trustme

from otel_llm.errors import ConfigError
from otel_llm.testing import CLOSE, ScriptedServer
from otel_llm.wire.proxy import Proxy, proxy_for
from tests.load.conftest import Perf
from tests.load.websocket_server import WebSocketServer
from tests.truthserver.process import TruthServer

Run = Callable[..., Perf]

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    b'data: {"model":"m","choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


class TunnelProxy:
    """A proxy that knows CONNECT and keeps the heads of what it was asked."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://user:pa%20ss@127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            head = b""
            while b"\r\n\r\n" not in head:
                head += near.recv(4096)
            self.heads.append(head)
            host, _, port = head.split()[1].decode().rpartition(":")
            far = socket.create_connection((host, int(port)))
            near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(one: socket.socket, other: socket.socket) -> None:
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def tunnel() -> Iterator[TunnelProxy]:
    with closing(TunnelProxy()) as proxy:
        yield proxy


def ask(url: str) -> list[str]:
    return ["--url", f"{url}/v1/chat/completions", "--model", "m", "--prompt", "x"]


def test_tls_goes_through_a_tunnel_and_is_still_stamped_by_the_kernel(
    perf: Run, tunnel: TunnelProxy, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with ScriptedServer([ANSWER, CLOSE], tls=context) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        run = perf(*ask(url), "-n", "2", "--proxy", tunnel.url, "--ca", str(tmp_path / "ca.pem"))
    assert run.code == 0, run.err
    assert run.report["requests"]["succeeded"] == 2
    assert run.report["client"]["receive_lag"] is not None
    assert tunnel.heads[0].startswith(b"CONNECT localhost:")
    assert b"proxy-authorization: Basic dXNlcjpwYSBzcw==" in tunnel.heads[0]
    written = (run.folder / "report.json").read_text() + run.out + run.err
    assert "pa%20ss" not in written
    assert "dXNlc" not in written


def test_a_websocket_goes_through_a_tunnel_though_it_is_plain(perf: Run, tunnel: TunnelProxy) -> None:
    with WebSocketServer() as server:
        run = perf(
            "--url", server.url("whole"), "--model", "m", "--prompt", "x", "-n", "2", "--proxy", tunnel.url
        )  # fmt: skip
    assert run.code == 0, run.err
    assert run.report["requests"]["succeeded"] == 2
    assert tunnel.heads[0].startswith(f"CONNECT 127.0.0.1:{server.port} ".encode())
    assert "proxy-authorization" not in server.headers, "expected the proxy's password to stay with the proxy"


def test_a_plain_request_goes_to_the_proxy_with_its_whole_url(perf: Run) -> None:
    with ScriptedServer([ANSWER, CLOSE]) as proxy:
        run = perf(*ask("http://model.example:8000"), "--proxy", proxy.url)
        assert run.code == 0, run.err
        assert proxy.requests[0].path == "http://model.example:8000/v1/chat/completions"
        assert proxy.requests[0].headers["host"] == "model.example:8000"


def test_a_proxy_that_refuses_is_one_clear_line(perf: Run) -> None:
    with ScriptedServer([b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"]) as proxy:
        run = perf(*ask("https://model.example"), "--proxy", proxy.url)
        assert run.code == 1
        assert "expected a tunnel to model.example:443" in run.err
        assert "HTTP 407" in run.err
        assert run.report["requests"]["errors"] == {"proxy": 1}


@pytest.mark.parametrize("url", ["https://h:1", "socks5://h:1", "http://", "http://h:x"])
def test_proxies_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigError, match="a proxy such as"):
        Proxy.parse(url)


def test_the_environment_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "https_proxy", "no_proxy", "NO_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://p:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    assert proxy_for("a.example", tls=True) == Proxy("p", 3128)
    assert proxy_for("a.example", tls=False) is None
    assert proxy_for("inside.example", tls=True) is None


def test_the_loops_own_transports_measure_too_and_name_their_clock(perf: Run, truth: TruthServer) -> None:
    url = f"{truth.url}/x/ttft_ms=100;itl_ms=10;tokens=16"
    run = perf(*ask(url), "--parallel", "4", "-n", "16", "--transport", "stream")
    assert run.code == 0, run.err
    client, measures = run.report["client"], run.report["measures"]
    assert client["clock"] == "user-space stamps"
    assert client["receive_lag"] is None
    assert measures["time_to_first_token"]["count"] == 16
    assert measures["time_to_first_token"]["p50"] == pytest.approx(0.1, rel=0.3)
    assert measures["inter_token_latency"]["mean"] == pytest.approx(0.01, rel=0.1)


def test_transports_fail_as_sockets_do(perf: Run, truth: TruthServer) -> None:
    cut = perf(*ask(f"{truth.url}/x/fault=disconnect;fault_at=2;tokens=8"), "--transport", "stream")
    assert cut.report["requests"]["errors"] == {"disconnect": 1}
    down = perf(*ask("http://127.0.0.1:9"), "--transport", "stream")
    assert down.report["requests"]["errors"] == {"connect": 1}


def test_tls_through_the_loops_transports(perf: Run, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with ScriptedServer([ANSWER, CLOSE], tls=context) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        common = [*ask(url), "--transport", "stream"]
        assert perf(*common, "--ca", str(tmp_path / "ca.pem")).code == 0
        assert perf(*common).report["requests"]["errors"] == {"tls": 1}


def test_a_unix_socket(perf: Run, tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            data = b""
            while not data.endswith(b"}"):
                data += connection.recv(65536)
            connection.sendall(ANSWER)
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    run = perf(*ask("http://localhost"), "-n", "2", "--uds", str(path), "--connect-timeout", "5")
    listener.close()
    assert run.code == 0, run.err
    assert run.report["requests"]["succeeded"] == 2

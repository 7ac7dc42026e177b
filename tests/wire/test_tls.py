"""TLS in memory, against the other end of the same library."""

import ssl
from contextlib import suppress

import pytest
import trustme

from otel_llm.wire.tls import Tls, TlsEndedError


class Server:
    """The other end: bytes in, bytes out."""

    def __init__(self, authority: trustme.CA) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("model.test").configure_cert(context)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)

    def handshake(self, received: bytes) -> bytes:
        self._in.write(received)
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        return self._out.read()

    def records(self, *plain: bytes) -> bytes:
        for part in plain:
            self._tls.write(part)
        return self._out.read()

    def end(self) -> bytes:
        with suppress(ssl.SSLWantReadError):  # the answer to it does not interest
            self._tls.unwrap()
        return self._out.read()


@pytest.fixture
def ends() -> tuple[Tls, Server]:
    """Two ends that have shaken hands."""
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    client, server = Tls(context, "model.test"), Server(authority)
    done, sent = client.handshake()
    while not done:
        done, sent = client.handshake(server.handshake(sent))
    assert client.decrypt(server.handshake(sent), never) == b""  # tickets, which carry nothing
    return client, server


def never(_: bytes) -> None:
    raise AssertionError("nothing was to be sent")


def test_records_that_came_together_are_read_together(ends: tuple[Tls, Server]) -> None:
    client, server = ends
    assert client.decrypt(server.records(b"one"), never) == b"one"
    assert client.decrypt(server.records(b"two"), never) == b"two"
    assert client.decrypt(server.records(b"a", b"bc", b"def"), never) == b"abcdef"


def test_a_record_that_is_cut_anywhere_is_read_when_it_is_whole(ends: tuple[Tls, Server]) -> None:
    client, server = ends
    client.decrypt(server.records(b"one"), never)
    wire = server.records(b"first", b"second")
    lengths = [len(client.decrypt(wire[i : i + 1], never)) for i in range(len(wire))]
    assert [n for n in lengths if n] == [5, 6]
    assert lengths[-1] == 6


@pytest.mark.parametrize("size", [16383, 16384, 16385, 100_000])
def test_more_than_a_record_holds(ends: tuple[Tls, Server], size: int) -> None:
    client, server = ends
    plain = bytes(i % 251 for i in range(size))
    assert client.decrypt(server.records(plain), never) == plain


def test_the_end_of_a_session_is_told_once_all_was_read(ends: tuple[Tls, Server]) -> None:
    client, server = ends
    assert client.decrypt(server.records(b"last") + server.end(), never) == b"last"
    with pytest.raises(TlsEndedError):
        client.decrypt(b"", never)


def test_an_end_alone_is_told_at_once(ends: tuple[Tls, Server]) -> None:
    client, server = ends
    with pytest.raises(TlsEndedError):
        client.decrypt(server.end(), never)


def test_what_is_no_tls_is_an_error(ends: tuple[Tls, Server]) -> None:
    client, _ = ends
    with pytest.raises(ssl.SSLError):
        client.decrypt(b"HTTP/1.1 400 Bad Request\r\n\r\n", never)

"""Loopback ports that nothing listens on."""

import random
import socket

HOST = "127.0.0.1"
# Below the range from which Linux and macOS take the ports of outgoing connections, one of which could otherwise
# occupy the port between the moment it is chosen and the moment a part listens on it.
RANGE = range(20_000, 32_000)
ATTEMPTS = 200

_given: set[int] = set()  # handed out in this process, whether or not something listens there yet


def free(preferred: int | None = None) -> int:
    """`preferred` when nothing listens there, else any free one; never the same one twice."""
    chosen = random.SystemRandom().choices(RANGE, k=ATTEMPTS)
    for port in chosen if preferred is None else (preferred, *chosen):
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    raise OSError(f"no free port among {ATTEMPTS} tried on {HOST}")


def is_free(port: int) -> bool:
    """Whether a server could listen on `port`, on loopback and on every address: some parts do the latter."""
    for host in (HOST, ""):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True

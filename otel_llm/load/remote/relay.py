"""The coordinator's end of an agent on another machine: to the coordinator, one more worker behind a socket."""

import socket
from contextlib import suppress
from threading import Thread
from typing import Protocol

from otel_llm.load.coordinator.crew import Host, Started

__all__ = ["RemoteAgent", "relay"]


class RemoteAgent(Protocol):
    """Calls of an `Agent` on another machine. Each may raise whatever says that the machine is lost."""

    def receive(self) -> bytes | None: ...
    def tell(self, word: bytes) -> None: ...
    def end(self) -> str: ...
    def kill(self) -> None:
        """End the agent itself, and its worker with it."""
        ...


def relay(agent: RemoteAgent, host: Host) -> Started:
    """Return the worker of an agent as one of this machine."""
    near, far = socket.socketpair()
    return Started(_Relayed(agent, far), near, host=host)


class _Relayed:
    """Carries bytes between an agent and a socket, in two threads, until either end is gone."""

    def __init__(self, agent: RemoteAgent, far: socket.socket) -> None:
        self._agent, self._far = agent, far
        self._how = ""
        self._hearing = Thread(target=self._hear, daemon=True, name="otel-llm-hear")
        self._hearing.start()
        Thread(target=self._tell, daemon=True, name="otel-llm-tell").start()

    def kill(self) -> None:
        with suppress(Exception):  # a machine that is lost has ended its agent
            self._agent.kill()

    def wait(self, timeout_s: float) -> str | None:
        self._hearing.join(timeout_s)
        if self._hearing.is_alive():
            return None
        self.kill()
        return self._how

    def _hear(self) -> None:
        try:
            while (said := self._agent.receive()) != b"":
                if said is not None:
                    self._far.sendall(said)
            self._how = self._agent.end()
        except Exception as error:  # of the network, or of what placed the agent
            self._how = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        with suppress(OSError):
            self._far.shutdown(socket.SHUT_RDWR)

    def _tell(self) -> None:
        with suppress(Exception):  # the other thread hears of it, and says so
            while word := self._far.recv(4096):
                self._agent.tell(word)
            self._agent.tell(b"")

"""Two machines on this one: network namespaces with a link between them that takes its time."""

import fcntl
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["Machine", "lacking", "two_machines"]

_TUN = Path("/dev/net/tun")
_SET_INTERFACE, _IP_PACKETS = 0x400454CA, 0x1001  # TUNSETIFF, IFF_TUN | IFF_NO_PI
_MOST = 1 << 16


class Machine(NamedTuple):
    """A network namespace. ahead_s: by how much its monotonic clock reads more, as if it had been started earlier"""

    name: str
    address: str
    ahead_s: int = 0

    def command(self, *words: str) -> list[str]:
        """Return the words as a command on this machine."""
        later = ["unshare", "--time", f"--monotonic={self.ahead_s}", "--fork"] if self.ahead_s else []
        return ["ip", "netns", "exec", self.name, *later, *words]


def lacking() -> str | None:
    """Return what this machine lacks to be two; None where it lacks nothing."""
    if any(shutil.which(tool) is None for tool in ("ip", "unshare")) or not _TUN.exists():
        return "needs Linux with ip, unshare and /dev/net/tun"
    tried = subprocess.run(
        ["unshare", "--net", "--time", "--monotonic=1", "--fork", "true"], capture_output=True, text=True
    )
    return f"needs the right to make network and time namespaces: {tried.stderr.strip()}" if tried.returncode else None


@contextmanager
def two_machines(one_way_s: float, ahead_s: int) -> Iterator[tuple[Machine, Machine]]:
    """Yield two machines. Each packet between them takes `one_way_s`; the second was started `ahead_s` earlier.

    The delay is that of a process between two TUN devices, since not every kernel has netem.
    """
    mine = os.getpid()
    near, far = Machine(f"near-{mine}", "10.200.0.1"), Machine(f"far-{mine}", "10.200.0.2", ahead_s)
    link: subprocess.Popen[bytes] | None = None
    try:
        for machine in (near, far):
            _ip("netns", "add", machine.name)
        devices = [f"near{mine}", f"far{mine}"]
        link = subprocess.Popen(
            [sys.executable, __file__, str(one_way_s), *devices], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert link.stdout is not None
        assert link.stdout.readline() == b"ready\n"
        for machine, device in zip((near, far), devices, strict=True):
            _ip("link", "set", device, "netns", machine.name)
            for words in (f"address add {machine.address}/24 dev {device}", f"link set {device} up", "link set lo up"):
                _ip("-n", machine.name, *words.split())
        yield near, far
    finally:
        for machine in (near, far):
            _end_all(machine)
        if link is not None:
            link.communicate()
        for machine in (near, far):
            subprocess.run(["ip", "netns", "delete", machine.name], check=False)


def _end_all(machine: Machine) -> None:
    """End whatever still runs in a namespace: a cluster's daemons have parents elsewhere."""
    there = subprocess.run(["ip", "netns", "pids", machine.name], capture_output=True, text=True, check=False)
    for number in there.stdout.split():
        os.kill(int(number), signal.SIGKILL)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _carry(one_way_s: float, devices: Sequence[str]) -> None:
    """Pass each packet on so much after it came, in their order, until standard input ends."""
    files = [_tun(device) for device in devices]
    print("ready", flush=True)
    waiting: deque[tuple[float, int, bytes]] = deque()
    while True:
        patience = max(waiting[0][0] - time.monotonic(), 0) if waiting else None
        ready, _, _ = select.select([0, *files], [], [], patience)
        if 0 in ready:
            return
        now = time.monotonic()
        for number, file in enumerate(files):
            if file in ready:
                waiting.append((now + one_way_s, files[1 - number], os.read(file, _MOST)))
        while waiting and waiting[0][0] <= time.monotonic():
            _, to, packet = waiting.popleft()
            with suppress(OSError):  # an end that is not up yet
                os.write(to, packet)


def _tun(name: str) -> int:
    file = os.open(_TUN, os.O_RDWR)
    fcntl.ioctl(file, _SET_INTERFACE, struct.pack("16sH", name.encode(), _IP_PACKETS))
    return file


if __name__ == "__main__":
    _carry(float(sys.argv[1]), sys.argv[2:])

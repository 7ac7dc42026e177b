"""What a mark costs, by hand and from a socket, ns of CPU; a list append of the clock beside it.

python -m benchmarks.marks
"""

import time
from collections.abc import Callable

from otel_llm.clock import now_ns
from otel_llm.observation import StreamObservation

CHUNKS, STREAMS, ROUNDS = 500, 40, 15


def cost(use: Callable[[StreamObservation], None]) -> list[float]:
    found = []
    for _ in range(ROUNDS):
        streams = [StreamObservation(stream=True) for _ in range(STREAMS)]
        before = time.thread_time_ns()
        for stream in streams:
            use(stream)
        found.append((time.thread_time_ns() - before) / STREAMS / CHUNKS)
    return sorted(found)


def nothing(_: StreamObservation) -> None:
    for _chunk in range(CHUNKS):
        pass


def bare(_: StreamObservation) -> None:
    stamps: list[int] = []
    for _chunk in range(CHUNKS):
        stamps.append(now_ns())  # noqa: PERF401  # the append is what is measured


def by_hand(stream: StreamObservation) -> None:
    mark = stream.mark
    for _ in range(CHUNKS):
        mark()


def from_a_socket(stream: StreamObservation) -> None:
    mark = stream.mark_read
    for i in range(CHUNKS):
        mark(i, read=i, size=190, length=4, kind=1, lag_ns=5)


def main() -> None:
    empty = cost(nothing)[0]
    for name, use in (("clock and list.append", bare), ("mark()", by_hand), ("mark_read(...)", from_a_socket)):
        found = cost(use)
        print(f"{name:22} {found[0] - empty:6.0f} ns a chunk (median {found[len(found) // 2] - empty:.0f})")


if __name__ == "__main__":
    main()

"""One worker as a program: `python -m otel_llm.load.worker FD`, for a parent that cannot fork.

FD is the worker's end of its channel, inherited. The plan and the share come through standard input, as multiprocessing
hands arguments to a process that it spawns.
"""

import pickle
import socket
import sys

from otel_llm.load.worker.worker import work

if __name__ == "__main__":
    plan, share = pickle.loads(sys.stdin.buffer.read())  # noqa: S301  # the parent's own, over a pipe
    work(plan, share, socket.socket(fileno=int(sys.argv[1])), None)

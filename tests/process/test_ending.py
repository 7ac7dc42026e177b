"""Whichever way a process ends, what was measured in it arrives, or is said to be lost."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from types import FunctionType

import pytest

from otel_llm.process.locks import may_hold_a_lock
from otel_llm.testing import OtlpReceiver
from tests.vocabulary import metric_name

TTFT = metric_name("time_to_first_token")

MEASURED = """
import os, signal, sys, threading, time
import otel_llm

@otel_llm.metrics(model="m")
def stream():
    yield "a"
    yield "b"

def call_and_leave_one_open():
    for _ in range(3):
        list(stream())
    left = stream()
    next(left)
    return left
"""

CONFIGURE = "telemetry = otel_llm.configure(endpoint=sys.argv[1], service_name='app')\n"
OPEN = MEASURED + CONFIGURE + "left = call_and_leave_one_open()\n"
TERMINATE = "os.kill(os.getpid(), signal.SIGTERM)\n"
WAIT = "time.sleep(60)\n"

ENDS = {
    "the last line": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "an exception": ("raise ValueError('theirs')", 1),
    "KeyboardInterrupt": ("os.kill(os.getpid(), signal.SIGINT)\n" + WAIT, -signal.SIGINT),
    "SIGTERM": (TERMINATE + WAIT, -signal.SIGTERM),
    "SIGTERM while another thread runs": (
        "threading.Thread(target=time.sleep, args=(60,)).start()\n" + TERMINATE + WAIT,
        -signal.SIGTERM,
    ),
    "a handler of SIGTERM that was set later": (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(4))\n" + TERMINATE + WAIT,
        4,
    ),
}


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


def run(program: str, endpoint: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    words = [sys.executable, "-c", program, endpoint]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)


def outcomes(receiver: OtlpReceiver) -> Counter[str]:
    return Counter(span.attributes["otel_llm.stream.outcome"] for span in receiver.spans)


def streams_counted(receiver: OtlpReceiver) -> int:
    found = receiver.histogram(TTFT)
    return 0 if found is None else found.count


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_everything_arrives_however_the_process_ends(receiver: OtlpReceiver, end: str, protocol: str) -> None:
    code, exit_code = ENDS[end]
    endpoint = receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint
    configure = CONFIGURE if protocol == "grpc" else CONFIGURE.replace("'app'", "'app', protocol='http/protobuf'")
    done = run(OPEN.replace(CONFIGURE, configure) + code, endpoint)
    assert done.returncode == exit_code, done.stderr
    assert outcomes(receiver) == {"complete": 3, "abandoned": 1}
    assert streams_counted(receiver) == 4


SERVER = (
    MEASURED
    + """
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append("to end"))
"""
    + CONFIGURE
    + "left = call_and_leave_one_open()\n"
    + TERMINATE
    + """
while not asked:
    time.sleep(0.01)
list(left)                                      # the requests that are under way are let finish
list(stream())
signal.signal(signal.SIGTERM, signal.SIG_DFL)   # and then it dies of the signal, as uvicorn does
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
"""
)


def test_a_server_that_lets_its_requests_finish_keeps_its_handler_and_loses_none_of_them(
    receiver: OtlpReceiver,
) -> None:
    done = run(SERVER, receiver.grpc_endpoint)
    assert done.returncode == -signal.SIGTERM, done.stderr
    assert outcomes(receiver) == {"complete": 5}
    assert streams_counted(receiver) == 5


def test_a_handler_is_called_with_what_it_would_have_been(receiver: OtlpReceiver) -> None:
    program = f"""
{MEASURED}
def theirs(number, frame):
    print(number == signal.SIGTERM, frame is not None)
    sys.exit(0)
signal.signal(signal.SIGTERM, theirs)
{CONFIGURE}
{TERMINATE}
{WAIT}"""
    done = run(program, receiver.grpc_endpoint)
    assert (done.returncode, done.stdout) == (0, "True True\n"), done.stderr


@pytest.mark.parametrize("before", ["signal.SIG_IGN", "signal.SIG_DFL"])
def test_who_ignores_sigterm_goes_on_ignoring_it(receiver: OtlpReceiver, before: str) -> None:
    program = f"""
{MEASURED}
signal.signal(signal.SIGTERM, {before})
{CONFIGURE}
print(signal.getsignal(signal.SIGTERM) == {before})
"""
    assert run(program, receiver.grpc_endpoint).stdout == f"{before == 'signal.SIG_IGN'}\n"


def test_configuring_in_a_thread_leaves_signals_alone(receiver: OtlpReceiver) -> None:
    program = f"""
{MEASURED}
def configure():
    {CONFIGURE.replace("telemetry = ", "")}
thread = threading.Thread(target=configure)
thread.start()
thread.join()
print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
list(stream())
"""
    assert run(program, receiver.grpc_endpoint).stdout == "True\n"
    assert outcomes(receiver) == {"complete": 1}


@pytest.mark.parametrize("end", ["", TERMINATE + WAIT])
def test_where_nobody_listens_one_line_says_what_was_dropped(end: str) -> None:
    done = run(OPEN + end, "http://127.0.0.1:9")
    (line,) = done.stderr.splitlines()
    assert line.startswith("dropped at the end: 4 of 4 spans and ")
    assert line.endswith("data points; next step: see that something receives OTLP at the endpoint")


CHILD = """
import multiprocessing

def in_child():
    list(stream())

if __name__ == "__main__":
    list(stream())
    child = multiprocessing.get_context("fork").Process(target=in_child)
    child.start()
    child.join()
    sys.exit(child.exitcode)
"""


def test_a_child_of_multiprocessing_tells_of_its_own_calls_and_of_no_others(receiver: OtlpReceiver) -> None:
    done = run(MEASURED + CONFIGURE + CHILD, receiver.grpc_endpoint)
    assert done.returncode == 0, done.stderr
    assert outcomes(receiver) == {"complete": 2}


def test_the_ledger_of_a_child_is_its_own(receiver: OtlpReceiver) -> None:
    program = f"""
{MEASURED}
{CONFIGURE}
list(stream())
if (child := os.fork()) == 0:
    list(stream())
    print(telemetry.shutdown().spans.recorded, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(telemetry.shutdown().spans.recorded)
"""
    assert run(program, receiver.grpc_endpoint).stdout == "1\n1\n"


INSIDE = """
import os, signal, threading
from otel_llm.process.ending import ENDING

lock, stamps = threading.Lock(), []

class Exports:
    def leave(self):
        with lock:
            print("exported after the lock was free:", stamps == ["free"], flush=True)
    def hurry(self):
        return True

ENDING.watch(Exports())
inside = {"__name__": "opentelemetry.sdk.metrics", "lock": lock, "os": os, "signal": signal, "stamps": stamps}
exec('''
def record():
    with lock:
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(100_000):
            pass
        stamps.append("free")
''', inside)
inside["record"]()
threading.Event().wait(60)
"""


def test_a_signal_that_comes_inside_of_the_sdk_waits_until_its_locks_are_free() -> None:
    done = run(INSIDE, "")
    assert done.stdout == "exported after the lock was free: True\n"
    assert done.returncode == -signal.SIGTERM


LEAVING = (
    MEASURED
    + """
import http.server

class Slow(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        os.kill(os.getpid(), signal.SIGTERM)   # while the last export is under way
        threading.Event().wait(0.3)
        print("took it", flush=True)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["OTEL_METRICS_EXPORTER"] = "none"
otel_llm.configure(f"http://127.0.0.1:{server.server_port}", protocol="http/protobuf")
list(stream())
"""
)


def test_a_signal_that_comes_while_the_last_export_is_under_way_waits_for_it() -> None:
    done = run(LEAVING, "")
    assert done.stdout == "took it\n"
    assert done.stderr == ""
    assert done.returncode in (0, -signal.SIGTERM)


def test_frames_of_an_sdk_may_hold_a_lock_and_others_do_not() -> None:
    def ask() -> bool:
        return may_hold_a_lock(sys._getframe(0))

    def called_from(module: str) -> object:
        def caller() -> bool:
            return ask()

        return FunctionType(caller.__code__, {"__name__": module}, closure=caller.__closure__)()

    assert called_from("opentelemetry.sdk.trace") is True
    assert called_from("logging") is True
    assert called_from("opentelemetry.trace") is False
    assert called_from("logging_of_theirs") is False
    assert may_hold_a_lock(None) is False

"""The rehearsal: simulated engines that have an incident, scraped by a real Collector, told by `otel-llm incident`."""

import asyncio
import contextlib
import datetime
import re
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import orjson
import pytest

from otel_llm.cli import main
from otel_llm.sim import Behaviour, SimServer
from tests.real.accuracy import RealProgram, collector, fast_prometheus
from tools.services import Prometheus
from tools.waiting import until

pytestmark = pytest.mark.timeout(180)

ORDINARY = Behaviour(ttft_ms=60, itl_ms=15, tokens=8, slots=4, kv_cache=160)
"""An answer takes 165 ms."""
CLIENTS = 3
WINDOW_S, BEFORE_S, AFTER_S = 5, 6, 8
ARRIVES_S = 60


@dataclass(frozen=True)
class Case:
    """An incident at the last of some replicas of an engine, and what is said of it."""

    incident: str
    engine: str
    replicas: int
    said: str
    runbook: str

    @property
    def model(self) -> str:
        return f"model-with-{self.incident}"


CASES = (
    Case("queue", "vllm", 1, "requests wait", "OtelLlmSaturated"),
    Case("prefill", "sglang", 1, "the prefill takes longer", "OtelLlmFirstTokenBurnFast"),
    Case("kv", "lmdeploy", 1, "the key-value cache is full, and requests wait for it", "OtelLlmCacheFull"),
    Case("errors", "tensorrt_llm", 1, "requests fail", "OtelLlmErrors"),
    Case("slow-replica", "vllm", 3, "the decode takes longer", "OtelLlmInterTokenLatencyBurnFast"),
    Case("none", "nim", 1, "", ""),
)
ENGINES = sorted({case.engine for case in CASES})


async def _use(urls: Sequence[str], over: asyncio.Event) -> None:
    """Ask each server again and again, by so many clients at a time."""
    body = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    async def client(host: str, port: int) -> None:
        while not over.is_set():
            reader, writer = await asyncio.open_connection(host, port)
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while not over.is_set():
                    writer.write(head + body)
                    await reader.readuntil(b"\r\n0\r\n\r\n")
            writer.close()

    async with asyncio.TaskGroup() as group:
        for url in urls:
            host, _, port = url.removeprefix("http://").partition(":")
            for _ in range(CLIENTS):
                group.create_task(client(host, int(port)))


@contextlib.contextmanager
def in_use(urls: Sequence[str]) -> Iterator[None]:
    loop, over = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(_use(urls, over),), daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(30)
        loop.close()


def arrived(store: Prometheus, servers: int) -> bool:
    """Whether every server was scraped often enough for a value of before."""
    scrapes = store.query(f'count(count_over_time(up{{job!="otelcol"}}[{2 * BEFORE_S}s]) >= {BEFORE_S + WINDOW_S - 1})')
    return bool(scrapes) and float(scrapes[0]["value"][1]) == servers


@pytest.fixture(scope="module")
def rehearsed(
    real_program: RealProgram, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, dict[str, list[str]], float]]:
    """What the command prints, the addresses by incident, and when the incidents began."""
    data = tmp_path_factory.mktemp("rehearsal")
    with contextlib.ExitStack() as stack:
        prometheus = stack.enter_context(fast_prometheus(real_program("prometheus"), data / "prometheus", every_s=15))
        sims = {
            case.incident: [
                stack.enter_context(SimServer(replace(ORDINARY, engine=case.engine, model=case.model)))
                for _ in range(case.replicas)
            ]
            for case in CASES
        }
        at = {incident: [sim.url.removeprefix("http://") for sim in group] for incident, group in sims.items()}
        of = {
            engine: [where for case in CASES if case.engine == engine for where in at[case.incident]]
            for engine in ENGINES
        }
        targets = {f"{engine.upper()}_TARGETS": f"[{', '.join(each)}]" for engine, each in of.items()}
        paths = {f"{engine.upper()}_METRICS_PATH": "/metrics" for engine in ENGINES}
        stack.enter_context(in_use([sim.url for group in sims.values() for sim in group]))
        part = stack.enter_context(
            collector(real_program("otelcol"), data / "otelcol", prometheus, ENGINES, {**targets, **paths})
        )
        assert until(lambda: arrived(prometheus, sum(map(len, at.values()))), ARRIVES_S), part.log_tail()
        began = time.time()
        for incident, group in sims.items():
            urllib.request.urlopen(f"{group[-1].url}/sim/incident", data=incident.encode()).close()
        time.sleep(AFTER_S + 2)  # the last scrape is on its way for so long
        looked = datetime.datetime.fromtimestamp(began + AFTER_S, datetime.UTC).isoformat()
        said = data / "screen"
        with pytest.MonkeyPatch.context() as patch, said.open("w") as out:
            patch.setattr("sys.stdout", out)
            words = ["--since", f"{AFTER_S + BEFORE_S}s", "--window", f"{WINDOW_S}s", "--until", looked]
            assert main(["incident", "--prometheus", prometheus.url, *words]) == 0
        yield said.read_text(), at, began


@pytest.mark.parametrize("case", [case for case in CASES if case.said], ids=lambda case: case.incident)
def test_each_incident_is_told_with_its_model_engine_beginning_and_runbook(
    case: Case, rehearsed: tuple[str, dict[str, list[str]], float]
) -> None:
    screen, at, began = rehearsed
    (about,) = re.findall(rf"^{case.model} on {case.engine} .*(?:\n  .*)*", screen, re.MULTILINE)
    assert f": {case.said}, since " in about, screen
    (since,) = re.findall(r"since (\d\d:\d\d:\d\d)", about)
    true = datetime.datetime.fromtimestamp(began).astimezone()
    found = true.replace(**dict(zip(("hour", "minute", "second"), map(int, since.split(":")), strict=True)))
    late = ((found - true).total_seconds() + 43_200) % 86_400 - 43_200
    assert -2 <= late <= WINDOW_S + 2
    assert f"runbooks/{case.runbook}.md" in about
    assert f"replica   {at[case.incident][-1]}\n" in about


def test_what_is_well_is_not_accused(rehearsed: tuple[str, dict[str, list[str]], float]) -> None:
    screen = rehearsed[0]
    accused = re.findall(r"^(\S+) on \w+ \(", screen, re.MULTILINE)
    assert sorted(accused) == sorted(case.model for case in CASES if case.said), screen

"""A run on a Ray cluster of one, two and four nodes, and one that loses a node, beside the same run without Ray."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_llm.errors import ConfigError
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.stored_run import read_records
from tests.load.test_report import check
from tools import ports

pytest.importorskip("ray", reason="make test-distributed installs it")
from ray.cluster_utils import Cluster  # it is there

pytestmark = pytest.mark.timeout(400)
CLIENT_PORT = ports.free()


@pytest.fixture(scope="module")
def sim() -> Iterator[str]:
    with SimProcess(Behaviour(ttft_ms=5, itl_ms=2, tokens=6)) as server:
        yield server.url


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    made = Cluster()
    node(made, num_cpus=2, include_dashboard=False, ray_client_server_port=CLIENT_PORT)
    yield made
    made.shutdown()


def node(cluster: Any, **options: Any) -> Any:
    """Return a new node. Ray gives up after 30 s, which a machine that does much else may need twice."""
    for left in (2, 1, 0):
        try:
            return cluster.add_node(**options)
        except Exception:
            if not left:
                raise
    return None


def start(folder: Path, url: str, *words: str) -> "subprocess.Popen[str]":
    """Start a run in the folder; its report is report.json there."""
    command = [sys.executable, "-m", "otel_llm.cli", "perf", "--url", url, "--model", "m", "--prompt", "x",
               "--seed", "4", "--name", "run.db", "--json", "report.json", *words]  # fmt: skip
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def report_of(process: "subprocess.Popen[str]", folder: Path, code: int = 0) -> dict[str, Any]:
    out, _ = process.communicate(timeout=300)
    assert process.returncode == code, out
    assert "Traceback" not in out, out
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    check(report)
    return report


def schedule(folder: Path) -> list[tuple[int | None, int]]:
    """Return each request with the moment at which it was meant to be sent, ns from the first of them."""
    meant = sorted((record.intended_ns or 0, record.index) for record in read_records(folder / "run.db"))
    return [(index, at - meant[0][0]) for at, index in meant]


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_a_run_on_a_cluster_is_the_run_without_it(nodes: int, cluster: Any, sim: str, tmp_path: Path) -> None:
    words = ("--rate", "50", "-n", "60")
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    while len(cluster.list_all_nodes()) < nodes:
        node(cluster, num_cpus=1)
    found = report_of(start(there, sim, *words, "--ray", cluster.address), there)
    local = report_of(start(here, sim, *words), here)
    assert found["requests"] == local["requests"]
    assert found["tokens"] == local["tokens"]
    assert schedule(there) == schedule(here)
    for name in set(found["measures"]) - {"connect_time"}:  # how many connections are opened depends on what is late
        assert found["measures"][name]["count"] == local["measures"][name]["count"], name
    assert len(found["machines"]) == nodes
    assert all(machine["requests"]["sent"] == 60 / nodes for machine in found["machines"])
    for machine in found["machines"]:  # both nodes are this machine
        assert abs(machine["clock"]["offset"]) <= machine["clock"]["bound"] + 0.001


def test_a_cluster_is_reached_from_a_machine_outside_of_it(cluster: Any, sim: str, tmp_path: Path) -> None:
    words = ("--rate", "50", "-n", "60", "--ray", f"ray://127.0.0.1:{CLIENT_PORT}")
    report = report_of(start(tmp_path, sim, *words), tmp_path)
    assert report["requests"]["succeeded"] == 60
    assert len(report["machines"]) == len(cluster.list_all_nodes())


def _written(database: Path) -> int:
    """Return how many requests a run has written; 0 where its file is only just being made."""
    try:
        return len(list(read_records(database))) if database.exists() else 0
    except ConfigError:
        return 0


def test_a_node_that_dies_is_reported_and_its_requests_are_accounted_for(
    cluster: Any, sim: str, tmp_path: Path
) -> None:
    lost = node(cluster, num_cpus=3)
    run = start(tmp_path, sim, "--rate", "20", "-n", "400", "--ray", cluster.address, "--per-node", "1")
    until = time.monotonic() + 200
    while time.monotonic() < until and _written(tmp_path / "run.db") <= 40:
        time.sleep(0.5)
    cluster.remove_node(lost, allow_graceful=False)
    report = report_of(run, tmp_path, code=1)
    requests = report["requests"]
    assert requests["planned"] == 400 == requests["succeeded"] + requests["failed"]
    assert set(requests["errors"]) == {"worker_died"}
    dead = [machine for machine in report["machines"] if any("died" in why for why in machine["client"]["reasons"])]
    assert len(dead) == 1
    assert report["client"]["reasons"][0].startswith(dead[0]["name"])


def test_without_a_cluster_it_is_one_line(tmp_path: Path, sim: str) -> None:
    run = start(tmp_path, sim, "--ray", "127.0.0.1:1")
    out, _ = run.communicate(timeout=200)
    assert run.returncode == 2, out
    assert "a Ray cluster at --ray 127.0.0.1:1" in out
    assert "Traceback" not in out

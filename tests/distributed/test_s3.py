"""Run files through the API of S3: shards leave them in a bucket, `merge` takes them from it, a refusal comes early."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.stored_run import read_run

pytest.importorskip("s3fs", reason="make test-distributed installs it")
pytest.importorskip("moto", reason="make test-distributed installs it")
import boto3  # they are there
from moto.server import ThreadedMotoServer

pytestmark = pytest.mark.timeout(400)
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "topsecretvalue", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    """The variables that tell a process where S3 is; it has the bucket `load`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {**KEYS, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    boto3.client(
        "s3", endpoint_url=variables["AWS_ENDPOINT_URL"], region_name="us-east-1",
        aws_access_key_id="key", aws_secret_access_key="topsecretvalue",
    ).create_bucket(Bucket="load")  # fmt: skip
    yield variables
    server.stop()


def run(folder: Path, store: dict[str, str], *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "otel_llm", *words]
    return subprocess.Popen(
        command, cwd=folder, env={**os.environ, **store}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_shards_meet_in_a_bucket(store: dict[str, str], tmp_path: Path) -> None:
    pods = []
    with SimProcess(Behaviour(ttft_ms=1, itl_ms=1, tokens=3)) as sim:
        words = ("perf", "--url", sim.url, "--model", "m", "--prompt", "x", "-n", "30", "--rate", "100",
                 "--shard", "index/3", "--name", "pod.db", "--store", "s3://load/runs")  # fmt: skip
        for index in range(3):
            (tmp_path / str(index)).mkdir()
            pods.append(run(tmp_path / str(index), {**store, "JOB_COMPLETION_INDEX": str(index)}, *words))
        for number, pod in enumerate(pods, 1):
            out, _ = pod.communicate(timeout=300)
            assert pod.returncode == 0, out
            assert f"stored at s3://load/runs/pod-{number}-of-3.db" in out
    merging = run(tmp_path, store, "merge", "s3://load/runs/pod-*-of-3.db", "--into", "run.db")
    out, _ = merging.communicate(timeout=300)
    assert merging.returncode == 0, out
    assert read_run(tmp_path / "run.db")["summary"]["requests"]["succeeded"] == 30


def test_a_bucket_that_is_not_there_costs_no_run(store: dict[str, str], tmp_path: Path) -> None:
    words = ("perf", "--url", "http://127.0.0.1:9", "--model", "m", "--prompt", "x", "--store", "s3://nowhere/runs")
    perf = run(tmp_path, store, *words)
    out, _ = perf.communicate(timeout=300)
    assert perf.returncode == 2, out
    assert out.count("\n") == 1, out
    assert "expected an object store at s3://nowhere/runs" in out
    assert "topsecretvalue" not in out
    assert not list(tmp_path.iterdir())

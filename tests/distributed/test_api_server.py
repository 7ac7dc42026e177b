"""What `otel-llm kubernetes` and the Collector's folder give, asked of a real API server, which checks it strictly."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_llm.cli import main
from tests.distributed.api_server import ApiServer

COLLECTOR = Path(__file__).parents[2] / "collector" / "kubernetes"
OF_OPERATORS = {"OpenTelemetryCollector", "PodMonitor", "PrometheusRule"}
"""Kinds that a cluster has once their operators are installed."""
pytestmark = pytest.mark.timeout(600)


def manifest(folder: Path, *more: str) -> dict[str, dict[str, Any]]:
    """Return the objects of a run of three pods by their kinds."""
    (folder / "p.txt").write_text("Why?")
    out = folder / "job.json"
    perf = ("perf", "--url", "http://vllm:8000", "--model", "m", "--prompt", f"@{folder}/p.txt", "--rate", "5")
    key = ("--api-key-env", "KEY") if "--secret" in more else ()
    assert main(["kubernetes", "--pods", "3", "--image", "i:1", "--out", str(out), *more, *perf, *key]) == 0
    return {item["kind"]: item for item in json.loads(out.read_text())["items"]}


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--claim", "runs", "--secret", "s"),
        ("--store", "s3://b/runs", "--store-secret", "keys", "--service-account", "loader", "--secret", "s"),
    ],
)
def test_a_manifest_is_taken(more: tuple[str, ...], server: ApiServer, tmp_path: Path) -> None:
    for item in manifest(tmp_path, *more).values():
        answer = server.create(item)
        assert answer.status == 201, answer.said


def test_the_server_keeps_what_was_meant(server: ApiServer, tmp_path: Path) -> None:
    given = manifest(tmp_path, "--job", "kept")
    for item in given.values():
        assert server.create(item, keep=True).status == 201
        assert server.create(item, keep=True).status == 409, "it is there"
    stored = server.create({**given["Job"], "metadata": {"name": "another"}}).body
    spec = stored["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (
        "Indexed",
        3,
        3,
        0,
    )
    pod, asked = spec["template"]["spec"], given["Job"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == asked["containers"][0]["args"]
    assert pod["securityContext"] == asked["securityContext"]
    assert pod["volumes"][0]["persistentVolumeClaim"] == asked["volumes"][0]["persistentVolumeClaim"]


def test_a_pod_may_run_where_pods_are_restricted(server: ApiServer, tmp_path: Path) -> None:
    label = {"pod-security.kubernetes.io/enforce": "restricted"}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "strict", "labels": label}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "strict"}}
    for item in (space, account):
        assert server.create(item, keep=True).status == 201
    spec = manifest(tmp_path)["Job"]["spec"]["template"]["spec"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": "strict"}, "spec": spec}
    answer = server.create(pod)
    assert answer.status == 201, answer.said
    del spec["securityContext"]
    answer = server.create(pod)
    assert answer.status == 403
    assert 'violates PodSecurity "restricted' in answer.said


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda job: job["spec"].update(completionmode="Indexed"), 'unknown field "spec.completionmode"'),
        (lambda job: job["spec"].pop("completions"), "spec.completions"),
        (lambda job: job["spec"]["template"]["spec"].update(restartPolicy="Always"), "restartPolicy"),
        (lambda job: job["spec"]["template"]["spec"]["volumes"].clear(), "volumeMounts"),
    ],
)  # fmt: skip
def test_one_that_is_wrong_is_refused(spoil: Any, said: str, server: ApiServer, tmp_path: Path) -> None:
    """So that what is taken says something."""
    job = copy.deepcopy(manifest(tmp_path)["Job"])
    spoil(job)
    answer = server.create(job)
    assert answer.status in (400, 422)
    assert said in answer.said


def test_the_collector_s_objects_are_taken(server: ApiServer) -> None:
    files = sorted(COLLECTOR.glob("*.yaml"))
    taken = []
    for item in [item for file in files for item in yaml.safe_load_all(file.read_text())]:
        if item["kind"] in OF_OPERATORS:
            continue
        answer = server.create(item)
        assert answer.status == 201, f"{item['kind']}: {answer.said}"
        taken.append(item["kind"])
    assert {"Namespace", "Service", "StatefulSet", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"} <= set(taken)

"""A gateway with `config/kubernetes.yaml` asks a real API server which pod sends, with the rights that the kit gives.

There are no nodes and no pods that run: the server is told of pods, and an app sends from the address of one.
"""

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.distributed.api_server import ApiServer
from tests.real.accuracy import fast_prometheus
from tools import find
from tools.errors import ToolsError
from tools.ports import HOST
from tools.services import COLLECTOR, CONFIG, Collector, Prometheus
from tools.waiting import until

pytestmark = pytest.mark.timeout(600)

SPACE, APPS = "otel-llm", "apps"
PODS = {"chat-5d9c6b7f4d-x7k2p": "127.7.0.1", "batch-6c8f9d5b8c-q9z4m": "127.7.0.2", "otel-llm-agent-0": "127.7.0.3"}
NODE = "gpu-node-1"
ARRIVES_S = 60


def pod(name: str) -> dict[str, Any]:
    """A pod of a Deployment, as its controller would make it."""
    owner = name.rpartition("-")[0]
    owners = [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": f"uid-of-{owner}", "controller": True}
    ]
    labels = {"pod-template-hash": owner.rpartition("-")[2]}
    spec = {"nodeName": NODE, "containers": [{"name": "app", "image": "app:1"}]}
    about = {"name": name, "namespace": APPS, "labels": labels, "ownerReferences": owners}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec}


@pytest.fixture(scope="module")
def token(server: ApiServer) -> str:
    """What the gateway's service account shows the server: it may read what the kit's files let it read."""
    for space in (SPACE, APPS):
        about: dict[str, Any] = {"name": space}
        assert server.create({"apiVersion": "v1", "kind": "Namespace", "metadata": about}, keep=True).status == 201
        about = {"name": "default", "namespace": space}
        assert server.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about}, keep=True).status == 201
    wanted = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding"}
    for item in yaml.safe_load_all((COLLECTOR / "kubernetes" / "gateway.yaml").read_text()):
        if item["kind"] in wanted:
            if item["kind"] == "ServiceAccount":
                item["metadata"]["namespace"] = SPACE
            answer = server.create(item, keep=True)
            assert answer.status == 201, answer.said
    for name, address in PODS.items():
        answer = server.create(pod(name), keep=True)
        assert answer.status == 201, answer.said
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        told = server.ask("PUT", f"/api/v1/namespaces/{APPS}/pods/{name}/status", {**answer.body, "status": status})
        assert told.status == 200, told.said
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = server.ask("POST", f"/api/v1/namespaces/{SPACE}/serviceaccounts/otel-llm-gateway/token", asked)
    assert answer.status == 201, answer.said
    return str(answer.body["status"]["token"])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with fast_prometheus(program("prometheus"), tmp_path_factory.mktemp("prometheus")) as started:
        yield started


@pytest.fixture(scope="module")
def gateway(
    server: ApiServer,
    token: str,
    store: Prometheus,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("gateway")
    cluster = {"server": server.url, "certificate-authority": str(server.certificate)}
    known = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "gateway", "user": {"token": token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "gateway"}}],
    }  # fmt: skip
    (folder / "kubeconfig").write_text(yaml.safe_dump(known))
    # in a cluster the token is in the pod; here it is in a file
    (folder / "outside.yaml").write_text("processors: {k8s_attributes: {auth_type: kubeConfig}}\n")
    config = (CONFIG / "base.yaml", CONFIG / "kubernetes.yaml", CONFIG / "stores" / "prometheus.yaml")
    variables = {"KUBECONFIG": str(folder / "kubeconfig")}
    part = Collector(
        program("otelcol"), folder, prometheus=store, config=(*config, folder / "outside.yaml"), variables=variables
    )
    with part as started:
        yield started


def program(name: str) -> Path:
    try:
        return find.program(name).path
    except ToolsError as error:
        pytest.skip(str(error))


def send(gateway: Collector, service: str, source: str, resource: Mapping[str, str] = {}) -> None:
    """Send one point of a counter by OTLP over HTTP, from an address."""
    attributes = [
        {"key": key, "value": {"stringValue": text}} for key, text in {"service.name": service, **resource}.items()
    ]
    now = str(time.time_ns())
    point = {"asInt": "7", "timeUnixNano": now, "startTimeUnixNano": str(time.time_ns() - 10**9)}
    counter = {
        "name": "otel_llm.test.sent",
        "sum": {"dataPoints": [point], "aggregationTemporality": 2, "isMonotonic": True},
    }
    body = {"resourceMetrics": [{"resource": {"attributes": attributes}, "scopeMetrics": [{"metrics": [counter]}]}]}
    connection = http.client.HTTPConnection(HOST, gateway.http_port, timeout=30, source_address=(source, 0))
    connection.request("POST", "/v1/metrics", json.dumps(body), {"Content-Type": "application/json"})
    assert connection.getresponse().status == 200
    connection.close()


def stored(store: Prometheus, service: str) -> dict[str, str]:
    """The labels of what a service sent, once it is there."""
    query = f'{{__name__=~"otel_llm_test_sent.*", job="{service}"}}'
    assert until(lambda: store.query(query), ARRIVES_S)
    (sample,) = store.query(query)
    assert sample["value"][1] == "7"
    labels: dict[str, str] = sample["metric"]
    return {name: text for name, text in labels.items() if name.startswith("k8s_")}


@pytest.mark.parametrize("name", ["chat-5d9c6b7f4d-x7k2p", "batch-6c8f9d5b8c-q9z4m"])
def test_what_an_app_sends_has_its_namespace_pod_deployment_and_node(
    name: str, gateway: Collector, store: Prometheus
) -> None:
    send(gateway, f"app-{name}", PODS[name])
    assert stored(store, f"app-{name}") == {
        "k8s_namespace_name": APPS,
        "k8s_pod_name": name,
        "k8s_deployment_name": name.split("-")[0],
        "k8s_node_name": NODE,
    }


def test_what_an_app_says_itself_stays(gateway: Collector, store: Prometheus) -> None:
    send(gateway, "telling", PODS["chat-5d9c6b7f4d-x7k2p"], {"k8s.namespace.name": "elsewhere", "k8s.pod.name": "mine"})
    found = stored(store, "telling")
    assert (found["k8s_namespace_name"], found["k8s_pod_name"], found["k8s_node_name"]) == ("elsewhere", "mine", NODE)


def test_what_agents_send_is_not_theirs_and_who_is_no_pod_is_nobody(gateway: Collector, store: Prometheus) -> None:
    send(gateway, "scraped", PODS["otel-llm-agent-0"])
    send(gateway, "stranger", "127.7.0.9")
    assert stored(store, "scraped") == {}
    assert stored(store, "stranger") == {}


def test_the_gateway_was_refused_nothing(gateway: Collector, store: Prometheus) -> None:
    send(gateway, "last", PODS["chat-5d9c6b7f4d-x7k2p"])
    assert stored(store, "last")["k8s_node_name"] == NODE
    assert "forbidden" not in gateway.log_tail().lower()

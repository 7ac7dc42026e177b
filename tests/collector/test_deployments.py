"""Compose and Kubernetes files: well formed, pinned, on loopback, without default passwords, and of the same files."""

import functools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_llm.cli import main
from otel_llm_collector.engine_tables.table import engine_tables
from tests import yaml_files

COLLECTOR = Path(__file__).parent.parent.parent / "collector"
COMPOSE = yaml_files.read(COLLECTOR / "compose" / "compose.yaml")


@functools.cache
def objects() -> list[dict[str, Any]]:
    """All of them, read once: that takes a second, or ten on a busy machine."""
    files = sorted((COLLECTOR / "kubernetes").glob("*.yaml"))
    return [found for file in files for found in yaml_files.read_all(file)]


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_service_is_pinned_hardened_and_on_loopback(name: str) -> None:
    service = COMPOSE["services"][name]
    image, _, tag = service["image"].rpartition(":")
    assert image
    assert tag not in {"", "latest"}
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert service["cap_drop"] == ["ALL"]
    assert set(service.get("depends_on", ())) <= set(COMPOSE["services"])


def test_compose_mounts_what_is_there(tmp_path: Path) -> None:
    assert main(["collector", "--out", str(tmp_path)]) == 0
    for service in COMPOSE["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            there = (tmp_path / "compose" / source).is_dir() if source.startswith(".") else source in COMPOSE["volumes"]
            assert there, volume


def test_grafana_is_given_every_variable_of_its_provisioning() -> None:
    grafana = COMPOSE["services"]["grafana"]
    text = "\n".join(file.read_text() for file in (COLLECTOR / "compose" / "grafana").rglob("*.yaml"))
    variables = set(re.findall(r"\$(\w+)", text))
    assert variables == {"PROMETHEUS_URL", "JAEGER_URL", "OTEL_LLM_BOARDS"}
    assert variables <= set(grafana["environment"])
    mounted = [volume.split(":")[1] for volume in grafana["volumes"]]
    assert grafana["environment"]["OTEL_LLM_BOARDS"] in mounted


def test_an_exemplar_leads_to_a_data_source_that_is_there() -> None:
    provisioned = yaml_files.read(COLLECTOR / "compose" / "grafana" / "datasources" / "otel_llm.yaml")
    metrics, *traces = provisioned["datasources"]
    (leads,) = metrics["jsonData"]["exemplarTraceIdDestinations"]
    assert leads["name"] == "trace_id"
    assert leads["datasourceUid"] in {source["uid"] for source in traces}


def test_there_is_no_default_password() -> None:
    assert COMPOSE["services"]["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"].startswith(
        "${GRAFANA_ADMIN_PASSWORD:?"
    )


def test_every_engine_can_be_pointed_at() -> None:
    environment = COMPOSE["services"]["collector"]["environment"]
    missing = {f"{table.name.upper()}_TARGETS" for table in engine_tables()} - set(environment)
    assert missing == set(), "next step: a line for it in collector/compose/compose.yaml"


def test_images_are_the_same_everywhere() -> None:
    images = {COMPOSE["services"]["collector"]["image"]}
    for found in objects():
        if found["kind"] == "StatefulSet":
            images |= {container["image"] for container in found["spec"]["template"]["spec"]["containers"]}
        if found["kind"] == "OpenTelemetryCollector":
            images.add(found["spec"]["image"])
    assert len(images) == 1


def test_every_engine_has_a_monitor_and_every_rule_file_is_an_object() -> None:
    kinds = [found["kind"] for found in objects()]
    assert kinds.count("PodMonitor") == len(engine_tables())
    assert kinds.count("PrometheusRule") == len(list((COLLECTOR / "rules").rglob("*.yaml")))


def test_memory_is_collected_before_it_is_refused_and_before_the_pod_is_killed() -> None:
    """Go's limit is at most the limiter's, and that is below the pod's."""
    by_kind = {found["kind"]: found.get("spec", {}) for found in objects()}
    agent = by_kind["OpenTelemetryCollector"]
    (gateway,) = by_kind["StatefulSet"]["template"]["spec"]["containers"]
    said = {each["name"]: each.get("value") for each in gateway["env"]}
    refused = (int(said["COLLECTOR_MEMORY_MIB"]), agent["config"]["processors"]["memory_limiter"]["limit_mib"])
    for part, limiter in zip((gateway, agent), refused, strict=True):
        go = next(each["value"] for each in part["env"] if each["name"] == "GOMEMLIMIT")
        pod = part["resources"]["limits"]["memory"]
        most = int(pod.removesuffix("Gi").removesuffix("Mi")) * (1024 if pod.endswith("Gi") else 1)
        assert int(go.removesuffix("MiB")) <= limiter < most


def test_only_telemetry_reaches_the_gateway_and_a_node_can_be_drained() -> None:
    by_kind = {found["kind"]: found.get("spec", {}) for found in objects()}
    gateway = by_kind["StatefulSet"]["template"]
    selected = [
        by_kind["NetworkPolicy"]["podSelector"],
        by_kind["PodDisruptionBudget"]["selector"],
    ]
    for each in selected:
        assert each["matchLabels"].items() <= gateway["metadata"]["labels"].items()
    (rule,) = by_kind["NetworkPolicy"]["ingress"]
    ports = {each["port"] for each in rule["ports"]}
    served = {each["name"] for each in gateway["spec"]["containers"][0]["ports"]}
    assert ports == {name for name in served if name.startswith("otlp")}
    assert by_kind["PodDisruptionBudget"]["maxUnavailable"] >= 1, "0 would keep the node of the only replica"
    assert by_kind["OpenTelemetryCollector"]["podDisruptionBudget"]["maxUnavailable"] == 1


def may_read(account: str) -> set[str]:
    """What a service account of the kit may list and watch, and nothing else may it do."""
    named = {(found["kind"], found["metadata"]["name"]): found for found in objects()}
    assert ("ServiceAccount", account) in named
    binding = named["ClusterRoleBinding", account]
    (subject,) = binding["subjects"]
    assert ("Namespace", subject["namespace"]) in named
    assert (subject["kind"], subject["name"]) == ("ServiceAccount", account)
    rules = named["ClusterRole", binding["roleRef"]["name"]]["rules"]
    assert all(set(rule["verbs"]) == {"get", "list", "watch"} for rule in rules)
    return {resource for rule in rules for resource in rule["resources"]}


def test_target_allocator_may_read_what_it_allocates() -> None:
    """The operator gives it no rights: without these it finds neither monitors nor pods, and nothing is scraped."""
    (agent,) = (found["spec"] for found in objects() if found["kind"] == "OpenTelemetryCollector")
    assert {"podmonitors", "pods", "namespaces"} <= may_read(agent["targetAllocator"]["serviceAccount"])


def test_gateway_is_told_which_pod_sends_and_may_read_no_more_than_that() -> None:
    (pod,) = (found["spec"]["template"]["spec"] for found in objects() if found["kind"] == "StatefulSet")
    assert pod["automountServiceAccountToken"]
    assert may_read(pod["serviceAccountName"]) == {"pods", "namespaces"}
    (container,) = pod["containers"]
    assert "--config=/etc/otel_llm/kubernetes.yaml" in container["args"]
    said = {each["name"]: each.get("value") for each in container["env"]}
    assert said["TRACES_PROCESSORS"] == "[memory_limiter, k8s_attributes, tail_sampling]"


def test_who_sends_is_looked_up_before_anything_else_and_agents_are_not_what_they_scrape() -> None:
    base, added = (yaml_files.read(COLLECTOR / "config" / name) for name in ("base.yaml", "kubernetes.yaml"))
    first, *others = base["service"]["pipelines"]["metrics/otlp"]["processors"]
    pipelines = added["service"]["pipelines"]
    assert pipelines == {"metrics/otlp": {"processors": [first, "k8s_attributes", *others]}}
    (agent,) = (found for found in objects() if found["kind"] == "OpenTelemetryCollector")
    (excluded,) = (each["name"] for each in added["processors"]["k8s_attributes"]["exclude"]["pods"])
    assert re.match(excluded, f"{agent['metadata']['name']}-collector-0")
    assert not re.match(excluded, "my-app-7c9d4-x2x")


def test_no_object_is_larger_than_what_kubectl_annotates() -> None:
    for found in objects():
        assert len(yaml.safe_dump(found)) < 250_000, found["metadata"]["name"]


def test_kustomization_names_what_is_there() -> None:
    kustomization = yaml_files.read(COLLECTOR / "kustomization.yaml")
    files = kustomization["resources"] + kustomization["configMapGenerator"][0]["files"]
    assert all((COLLECTOR / file).is_file() for file in files)
    there = {f"kubernetes/{file.name}" for file in (COLLECTOR / "kubernetes").iterdir()}
    # for a Prometheus that scrapes engines itself: beside the agent, everything would count twice
    assert there - set(files) == {"kubernetes/scraped.yaml"}

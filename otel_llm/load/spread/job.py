"""A run as an Indexed Job of Kubernetes: each pod its shard, one start for all, the run files in one place."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from otel_llm.load.spread.perf_words import FOLDER, PodWords

__all__ = ["JobOptions", "manifest"]

_RUNS: Final = "/runs"
_STORAGE: Final = "10Gi"
_USER: Final = 10001


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """
    claim:   a volume claim that exists; None: make one
    store:   an object store that gets the run files in place of a volume
    account: the service account of the pods, which may have the store's rights
    secret:  the Secret with the API key, if there is one
    keys:    the Secret whose entries are the variables that the store's library reads, if there is one
    begins:  the moment at which all pods begin
    """

    name: str
    namespace: str | None
    image: str
    pods: int
    claim: str | None
    store: str | None
    account: str | None
    secret: str | None
    keys: str | None
    cpu: str
    memory: str
    begins: str


def manifest(options: JobOptions, given: PodWords) -> dict[str, Any]:
    """Return the objects as one list, as `kubectl apply` takes it."""
    objects = [
        *([_plan_files(options, given.files)] if given.files else []),
        *([_claim(options)] if options.claim is options.store is None else []),
        _job(options, given),
    ]
    return {"apiVersion": "v1", "kind": "List", "items": objects}


def _head(options: JobOptions, kind: str, version: str, name: str) -> dict[str, Any]:
    where = {} if options.namespace is None else {"namespace": options.namespace}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **where, "labels": _labels(options)}}


def _labels(options: JobOptions) -> dict[str, str]:
    return {"app.kubernetes.io/name": options.name, "app.kubernetes.io/part-of": "otel-llm"}


def _plan_files(options: JobOptions, files: Mapping[str, bytes]) -> dict[str, Any]:
    encoded = {name: base64.b64encode(data).decode() for name, data in files.items()}
    return {**_head(options, "ConfigMap", "v1", f"{options.name}-plan"), "immutable": True, "binaryData": encoded}


def _claim(options: JobOptions) -> dict[str, Any]:
    wanted = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": _STORAGE}}}
    return {**_head(options, "PersistentVolumeClaim", "v1", options.name), "spec": wanted}


def _job(options: JobOptions, given: PodWords) -> dict[str, Any]:
    """Return the Job. A pod that fails is not started again: it would send its requests twice."""
    spec = {
        "completionMode": "Indexed",
        "completions": options.pods,
        "parallelism": options.pods,
        "backoffLimit": 0,
        "template": {"metadata": {"labels": _labels(options)}, "spec": _pod(options, given)},
    }
    return {**_head(options, "Job", "batch/v1", options.name), "spec": spec}


def _pod(options: JobOptions, given: PodWords) -> dict[str, Any]:
    claim = {"persistentVolumeClaim": {"claimName": options.claim or options.name}}
    volumes: list[dict[str, Any]] = [{"name": "runs", **({"emptyDir": {}} if options.store else claim)}]
    if given.files:
        volumes.append({"name": "plan", "configMap": {"name": f"{options.name}-plan"}})
    return {
        "restartPolicy": "Never",
        **({"serviceAccountName": options.account} if options.account else {}),
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",  # together on a node they are slower, and say so
                "labelSelector": {"matchLabels": _labels(options)},
            }
        ],
        "containers": [_container(options, given)],
        "volumes": volumes,
    }


def _container(options: JobOptions, given: PodWords) -> dict[str, Any]:
    own = ["--shard", f"index/{options.pods}", "--start-at", options.begins, "--name", f"{options.name}.db"]
    if options.store:
        own += ["--store", options.store]
    mounts: list[dict[str, Any]] = [{"name": "runs", "mountPath": _RUNS}]
    if given.files:
        mounts.append({"name": "plan", "mountPath": FOLDER, "readOnly": True})
    key = {"secretKeyRef": {"name": options.secret, "key": given.key}}
    env = [{"name": "HOME", "value": _RUNS}]
    return {
        "name": "perf",
        "image": options.image,
        "command": ["otel-llm", "perf"],
        "args": [*given.words, *own],
        "workingDir": _RUNS,
        "env": env if given.key is None else [*env, {"name": given.key, "valueFrom": key}],
        **({"envFrom": [{"secretRef": {"name": options.keys}}]} if options.keys else {}),
        "resources": {
            "requests": {"cpu": options.cpu, "memory": options.memory},
            "limits": {"memory": options.memory},
        },
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": mounts,
    }

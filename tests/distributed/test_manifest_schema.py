"""The manifests of `otel-llm kubernetes`, by the JSON schemas that Kubernetes publishes, and strictly."""

import json
from pathlib import Path

import pytest

from otel_llm.cli import main

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="make test-distributed installs it")

STORE = ("--store", "s3://b/runs", "--store-secret", "keys", "--service-account", "loader", "--secret", "s")


@pytest.mark.parametrize("version", ["1.30", "1.37"])
@pytest.mark.parametrize("more", [(), ("--claim", "runs", "--secret", "s", "--namespace", "load"), STORE])
def test_every_object_is_of_the_published_schema(version: str, more: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("Why?")
    words = ["--api-key-env", "KEY"] if more else []
    out = tmp_path / "job.json"
    given = ["kubernetes", "--pods", "3", "--image", "i:1", "--out", str(out), *more]
    assert main([*given, "perf", "--prompt", f"@{tmp_path}/p.txt", "--rate", "5", *words]) == 0
    items = json.loads(out.read_text())["items"]
    assert {"Job", "ConfigMap"} <= {item["kind"] for item in items}
    for item in items:
        kubernetes_validate.validate(item, version, strict=True)
    items[-1]["spec"]["completionmode"] = "Indexed"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(items[-1], version, strict=True)

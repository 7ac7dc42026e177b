"""Every combination of files that the documentation names is one that the Collector takes."""

import itertools
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from tests.real.accuracy import RealProgram
from tools.services import CONFIG

ENGINES = sorted((CONFIG / "engines").glob("*.yaml"))
METRICS = ("prometheus", "mimir", "victoriametrics", "otlp")
TRACES = (None, "jaeger", "tempo")
OLD_NAMES = {
    "otlp_http": "otlphttp",
    "otlp_grpc": "otlp",
    "span_metrics": "spanmetrics",
}
"""What components were called before; the Collector still takes both."""


def validate(otelcol: Path, files: Sequence[Path], folder: Path) -> None:
    done = subprocess.run(
        [str(otelcol), "validate", *(f"--config={file}" for file in files)],
        capture_output=True, text=True, timeout=60, cwd=folder, env={**os.environ, "COLLECTOR_STORAGE": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture
def otelcol_program(real_program: RealProgram) -> Path:
    return real_program("otelcol")


@pytest.mark.parametrize(("metrics", "traces"), list(itertools.product(METRICS, TRACES)))
def test_stores_combine(metrics: str, traces: str | None, otelcol_program: Path, tmp_path: Path) -> None:
    stores = [CONFIG / "stores" / f"{name}.yaml" for name in (metrics, traces) if name]
    validate(otelcol_program, [CONFIG / "base.yaml", CONFIG / "engines" / "vllm.yaml", *stores], tmp_path)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda file: file.stem)
def test_one_engine(engine: Path, otelcol_program: Path, tmp_path: Path) -> None:
    validate(otelcol_program, [CONFIG / "base.yaml", engine, CONFIG / "stores" / "prometheus.yaml"], tmp_path)


def test_all_engines_and_all_stores(otelcol_program: Path, tmp_path: Path) -> None:
    stores = sorted((CONFIG / "stores").glob("*.yaml"))
    validate(otelcol_program, [CONFIG / "base.yaml", *ENGINES, *stores], tmp_path)


def test_old_component_names(otelcol_program: Path, tmp_path: Path) -> None:
    files = []
    for file in (CONFIG / "base.yaml", *ENGINES, *sorted((CONFIG / "stores").glob("*.yaml"))):
        text = file.read_text()
        for new, old in OLD_NAMES.items():
            text = re.sub(rf"\b{new}(?=[/:\]])", old, text)
        assert not re.search(rf"\b({'|'.join(OLD_NAMES)})[/:\]]", text)
        (tmp_path / file.parent.name).mkdir(exist_ok=True)
        files.append(tmp_path / file.parent.name / file.name)
        files[-1].write_text(text)
    validate(otelcol_program, files, tmp_path)


@pytest.mark.parametrize("file", sorted(CONFIG.rglob("*.yaml")), ids=lambda file: file.stem)
def test_every_variable_has_a_default(file: Path) -> None:
    bare = [name for name in re.findall(r"\$\{env:([^}]*)\}", file.read_text()) if ":-" not in name]
    assert bare == []


def test_agent_of_kubernetes(otelcol_program: Path, tmp_path: Path) -> None:
    agent = yaml.safe_load((CONFIG.parent / "kubernetes" / "agent.yaml").read_text())
    config = agent["spec"]["config"]
    # what the operator fills in
    config["receivers"]["prometheus"]["config"]["scrape_configs"] = [{"job_name": "x", "static_configs": []}]
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump(config))
    validate(otelcol_program, [tmp_path / "agent.yaml"], tmp_path)

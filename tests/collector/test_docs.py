"""What the documentation names is there, and what is there is documented."""

import re
from functools import cache
from pathlib import Path

from otel_llm_collector.engine_tables.table import engine_tables
from otel_llm_collector.vocabulary.measures import MEASURES, ON_ONE_GRID, WAITED_FOR
from tests import yaml_files

ROOT = Path(__file__).parent.parent.parent
DOCS, COLLECTOR = ROOT / "docs", ROOT / "collector"


@cache
def recorded() -> set[str]:
    files = [yaml_files.read(file) for file in (COLLECTOR / "rules").glob("*.yaml")]
    return {rule["record"] for file in files for group in file["groups"] for rule in group["rules"] if "record" in rule}


def test_every_recorded_series_is_documented_and_every_documented_one_is_recorded() -> None:
    text = (DOCS / "percentiles.md").read_text()
    documented = set()
    for line in text.splitlines():
        few = WAITED_FOR if "(not inside)" in line else ON_ONE_GRID if "(not prefill, decode)" in line else MEASURES
        names = [each.name for each in few]
        for found in re.findall(r"otel_llm:[a-zA-Z_]+:[a-z0-9_]+", line):
            wanted = "_M:" in found or ":M:" in found
            documented |= {re.sub(r"(?<=[:_])M(?=:)", name, found) for name in names} if wanted else {found}
    assert documented == recorded()


def test_every_series_in_a_runbook_is_recorded() -> None:
    for page in (COLLECTOR / "runbooks").glob("*.md"):
        assert set(re.findall(r"otel_llm:[a-z_]+:[a-z0-9_]+", page.read_text())) <= recorded(), page.name


def test_every_variable_in_the_documentation_is_one_of_the_files() -> None:
    files = "\n".join(file.read_text() for file in (COLLECTOR / "config").rglob("*.yaml"))
    known = set(re.findall(r"\$\{env:([A-Z_]+):-", files))
    text = (DOCS / "collector.md").read_text() + (DOCS / "sizing.md").read_text()
    prefixes = ("COLLECTOR_", "TRACES_", "ENGINE_", "STORE_", "VENDOR_", "MIMIR_", "PROMETHEUS_", "JAEGER_", "TEMPO_")
    named = {name for name in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", text) if name.startswith(prefixes)}
    assert named - {"COLLECTOR_ENGINES"} <= known


def test_every_store_and_every_engine_is_documented() -> None:
    text, page = (DOCS / "collector.md").read_text(), (DOCS / "engines.md").read_text()
    assert all(f"`{file.name}`" in text for file in (COLLECTOR / "config" / "stores").glob("*.yaml"))
    assert all(f"## {table.title}" in page for table in engine_tables())

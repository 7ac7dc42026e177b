"""Rules and alerts on made-up series, by Prometheus' own tool."""

import re
import subprocess
from pathlib import Path

import pytest

from otel_llm_collector.rule_sources.alerts import alerts
from otel_llm_collector.rule_sources.rule import Alert
from tests.real.accuracy import RealProgram
from tools.services import COLLECTOR

ROOT = COLLECTOR.parent
TAKES_S = 600
pytestmark = pytest.mark.timeout(TAKES_S)
CASES = sorted((ROOT / "tests" / "collector" / "promtool").glob("*.yaml"))


def promtool(program: Path, *words: str) -> None:
    done = subprocess.run([str(program), *words], capture_output=True, text=True, timeout=TAKES_S, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


@pytest.mark.parametrize("case", CASES, ids=lambda file: file.stem)
def test_rules_do_what_they_say(case: Path, real_program: RealProgram) -> None:
    promtool(real_program("promtool"), "test", "rules", str(case))


def test_rules_and_configuration_are_well_formed(real_program: RealProgram) -> None:
    program = real_program("promtool")
    promtool(program, "check", "rules", *map(str, sorted((COLLECTOR / "rules").rglob("*.yaml"))))
    promtool(program, "check", "config", str(COLLECTOR / "servers" / "prometheus.yaml"))


@pytest.mark.parametrize("alert", list(alerts()), ids=lambda alert: alert.name)
def test_alert_is_tested_and_has_a_runbook(alert: Alert) -> None:
    tested = "".join(case.read_text() for case in CASES)
    assert re.search(rf"alertname: {alert.name}\b", tested)
    page = COLLECTOR / "runbooks" / f"{alert.name}.md"
    assert page.read_text().startswith(f"# {alert.name}\n")


def test_every_runbook_is_of_an_alert() -> None:
    assert {file.stem for file in (COLLECTOR / "runbooks").glob("*.md")} == {alert.name for alert in alerts()}

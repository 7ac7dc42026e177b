"""One stack for all questions of the boards: what everybody gets, at a pace that a test can wait for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from otel_llm_collector.engine_tables.table import engine_tables
from tests.collector.fake_engines import FakeEngines
from tests.dashboards.fed.asking import Asking
from tests.dashboards.fed.feeding import feeding
from tests.dashboards.fed.opened import Opened
from tests.real.accuracy import RealProgram, collector, fast_prometheus
from tools.services import COLLECTOR, Jaeger

EVALUATED_S, SCRAPED = 3, "2s"
"""Often enough to wait for, and seldom enough that two cores do it beside all that is sent and asked."""

COMPARED = ({"run": "steady", "baseline": "burst"}, {"run": "burst", "baseline": "steady"})
"""Which load runs a person compares: one has exponential histograms, the other explicit ones, so it takes both ways."""
SHOWN = ({}, {"left_out": "nothing"})
"""Beside that: once the boards as they come, without load runs among users, and once with them."""


@dataclass(frozen=True)
class Fed:
    """A Prometheus and a Jaeger that are being fed, and the boards as a person opens them on it, in several ways."""

    asking: Asking
    jaeger: Jaeger
    reports: Mapping[str, Any]  # of the load runs, by their names
    opened: Sequence[Opened]

    def id_of(self, run: str) -> str:
        return str(self.reports[run]["run"]["id"])


@pytest.fixture(scope="package")
def fed(real_program: RealProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fed]:
    folder: Path = tmp_path_factory.mktemp("fed")
    names = [table.name for table in engine_tables()]
    program, rules = real_program("prometheus"), _impatient(folder / "rules")
    with (
        FakeEngines() as fakes,
        Jaeger(real_program("jaeger"), folder / "jaeger") as jaeger,
        fast_prometheus(program, folder / "prometheus", every_s=EVALUATED_S, rules=rules) as prometheus,
    ):
        told = {**fakes.variables(), "ENGINE_SCRAPE_INTERVAL": SCRAPED}
        part = collector(real_program("otelcol"), folder / "otelcol", prometheus, names, told, jaeger)
        with part, feeding(part, fakes, folder) as reports:
            asking = Asking(prometheus.url)
            ids = {name: report["run"]["id"] for name, report in reports.items()}
            opened = [
                Opened(asking, {**{name: ids[run] for name, run in picked.items()}, **shown})
                for picked, shown in zip(COMPARED, SHOWN, strict=True)
            ]
            yield Fed(asking, jaeger, reports, opened)


def _impatient(folder: Path) -> Path:
    """The committed rules, with alerts that fire at once where they wait for two minutes; the others stay pending."""
    folder.mkdir()
    for file in (COLLECTOR / "rules").glob("*.yaml"):
        (folder / file.name).write_text(file.read_text().replace("for: 2m", "for: 0s"))
    return folder

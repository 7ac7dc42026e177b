"""`otel-llm report RUN --csv …`: each format by a reader of its own, and that its figures are those of the report."""

import csv
import io
import json
import re
import stat
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from llmd_benchmark_report.core import import_benchmark_report
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from otel_llm.cli import main
from otel_llm.load.export.columns import POINT, REQUEST, Column
from otel_llm.load.export.formats import FORMATS
from otel_llm.load.export.tables import write_csv
from otel_llm.load.study.result import result_in
from otel_llm.record import from_json
from otel_llm.sinks.stored_run import read_records
from tests.load.conftest import Perf
from tests.load.study_of_points import Told, study_of
from tests.load.test_perf import chat
from tests.truthserver.process import TruthServer

DOCS = Path(__file__).parents[2] / "docs"
KNOBS = "ttft_ms=5;itl_ms=1;tokens=4;jitter=lognormal;amp=0.3;fault=500;fault_rate=0.2;seed=3"


@pytest.fixture(scope="module")
def run(_truth_process: TruthServer, tmp_path_factory: pytest.TempPathFactory) -> Perf:
    made = Perf(tmp_path_factory.mktemp("exports")).start(*chat(_truth_process, KNOBS), "-n", "60", "--parallel", "3")
    assert made.wait(200).code == 1, made.err
    return made


@pytest.fixture(scope="module")
def study(run: Perf) -> Path:
    return study_of(run.run_file, run.folder / "study.db", (Told(2), Told(4, 2, overloaded=True)))


def export(file: Path, name: str, *words: str) -> Path:
    to = file.with_name(f"{file.name}.{name}")
    assert main(["report", str(file), f"--{name}", str(to), *words]) == 0
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    return to


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def same(text: str, value: Any) -> bool:
    if value is None:
        return text == ""
    return type(value)(text) == value if not isinstance(value, bool) else text == str(value)


def test_requests_are_the_same_in_csv_parquet_and_the_run_file(run: Perf) -> None:
    rows, arrow = table(export(run.run_file, "csv")), pq.read_table(export(run.run_file, "parquet"))
    records = {record.index: record for record in read_records(run.run_file)}
    assert list(rows[0]) == arrow.column_names == [column.name for column in REQUEST]
    assert len(rows) == arrow.num_rows == 60
    for row, typed in zip(rows, arrow.to_pylist(), strict=True):
        assert all(same(row[name], value) for name, value in typed.items())
        record = records[typed["request_index"]]
        assert (typed["outcome"], typed["status"], typed["trace_id"]) == (
            record.outcome, record.status, record.trace_id,
        )  # fmt: skip
        assert typed["latency"] == pytest.approx((record.ended_ns - record.sent_ns) / 1e9)
    about = {field.name: field.metadata[b"about"].decode() for field in arrow.schema}
    assert about == {column.name: column.about for column in REQUEST}


def test_lines_are_the_records(run: Perf) -> None:
    lines = export(run.run_file, "jsonl").read_bytes().splitlines()
    assert [from_json(line) for line in lines] == list(read_records(run.run_file))


def test_points_are_the_same_in_csv_parquet_json_lines_and_the_study(study: Path) -> None:
    result = result_in(study)
    assert result is not None
    rows, arrow = table(export(study, "csv")), pq.read_table(export(study, "parquet"))
    assert list(rows[0]) == arrow.column_names == [column.name for column in POINT]
    for row, typed, point in zip(rows, arrow.to_pylist(), result.rows, strict=True):
        assert all(same(row[name], value) for name, value in typed.items())
        assert (typed["load"], typed["verdict"]) == (point["load"], point["verdict"])
        assert typed["request_latency_p99_high"] == point["request_latency"]["ci95"]["p99"][1]
    lines = export(study, "jsonl").read_bytes().splitlines()
    assert [json.loads(line) for line in lines] == json.loads(json.dumps(result.rows))
    assert (rows[1]["backlog_growth"], rows[1]["outcome"]) == ("7.5", "")


def test_figures_are_the_same_in_openmetrics(run: Perf) -> None:
    families = {
        each.name: each for each in text_string_to_metric_families(export(run.run_file, "openmetrics").read_text())
    }
    first = families["otel_llm_run_time_to_first_token_seconds"]
    row = run.report["measures"]["time_to_first_token"]
    assert first.type == "summary"
    values = {sample.labels.get("quantile", sample.name.rpartition("_")[2]): sample.value for sample in first.samples}
    assert values["0.5"] == row["p50"]
    assert values["0.999"] == row["p99.9"]
    assert values["count"] == row["count"]
    assert values["sum"] == pytest.approx(row["mean"] * row["count"])
    requests = {each.labels["outcome"]: each.value for each in families["otel_llm_run_requests"].samples}
    assert requests == {
        name: run.report["requests"][name] for name in ("planned", "sent", "succeeded", "failed", "cancelled")
    }
    (rate,) = families["otel_llm_run_requests_per_second"].samples
    assert (rate.value, rate.labels["model"]) == (run.report["request_throughput"], "m")


def test_figures_are_the_same_in_the_report_of_llm_d(run: Perf) -> None:
    found = import_benchmark_report(str(export(run.run_file, "llm-d")))
    assert found.version == "0.2"
    aggregate = found.results.request_performance.aggregate
    for name in ("time_to_first_token", "time_per_output_token", "inter_token_latency", "request_latency"):
        theirs, ours = getattr(aggregate.latency, name), run.report["measures"][name]
        assert (theirs.mean, theirs.p50, theirs.p99, theirs.p99p9) == tuple(
            ours[each] for each in ("mean", "p50", "p99", "p99.9")
        )
    assert (aggregate.requests.total, aggregate.requests.failures) == (60, run.report["requests"]["failed"])
    assert aggregate.throughput.request_rate.mean == run.report["request_throughput"]
    assert found.scenario.load.standardized.tool == "otel-llm"
    assert found.scenario.load.standardized.concurrency == 3
    assert found.scenario.load.native.config["client"]["saturated"] == run.report["client"]["saturated"]


def test_markdown_has_the_table_of_the_terminal(run: Perf, study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = export(run.run_file, "markdown").read_text()
    capsys.readouterr()
    assert main(["report", str(run.run_file)]) == 0
    printed = capsys.readouterr().out
    for label in ("time to first token", "request latency"):
        (line,) = re.findall(rf"^\| ({label} .*) \|$", text, re.MULTILINE)
        cells = [cell.replace("\\", "") for cell in line.split(" | ")]
        assert " ".join(cells) in [" ".join(each.replace("?", "").split()) for each in printed.splitlines()]
    assert "| 4 |" in export(study, "markdown").read_text()


def test_several_formats_are_written_at_once_beside_the_page_and_the_json(run: Perf, tmp_path: Path) -> None:
    words = [word for name in ("json", "html", "csv", "jsonl") for word in (f"--{name}", str(tmp_path / name))]
    assert main(["report", str(run.run_file), *words]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["csv", "html", "json", "jsonl"]
    assert json.loads((tmp_path / "json").read_text()) == run.report


def test_what_a_server_named_is_no_formula() -> None:
    to = io.BytesIO()
    write_csv(to, [Column("error_type", "text", ""), Column("n", "integer", "")], [[("=1+1", -1), ("a,b\n", None)]])
    assert to.getvalue() == b'error_type,n\r\n\'=1+1,-1\r\n"a,b\n",\r\n'


@pytest.mark.parametrize("name", ["llm-d", "openmetrics"])
def test_a_study_has_no_place_in_the_format_of_one_run(
    name: str, study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(study), f"--{name}", str(study.with_name("x"))]) == 2
    said = capsys.readouterr().err
    assert "say which of " in said
    assert said.count("\n") == 1
    assert not study.with_name("x").exists()
    assert export(study, name, "--run", "1").stat().st_size > 100


@pytest.mark.parametrize(("name", "module"), [("parquet", "pyarrow"), ("openmetrics", "prometheus_client.core")])
def test_without_the_extra_it_is_one_line(
    name: str,
    module: str,
    run: Perf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["report", str(run.run_file), f"--{name}", str(tmp_path / "x")]) == 2
    said = capsys.readouterr().err
    assert "pip install 'otel-llm[" in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_page_has_every_format_and_every_column() -> None:
    text = (DOCS / "exports.md").read_text()
    for name in FORMATS:
        assert f"| `--{name.replace('_', '-')} FILE` |" in text
    for column in (*REQUEST, *POINT):
        assert f"| `{column.name}` | {column.type} | {column.about} |" in text

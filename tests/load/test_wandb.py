"""Weights & Biases: what a stand-in for the library gets, and what the real one writes offline. S4.17"""

import os
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from otel_llm.errors import ConfigError
from otel_llm.load.figures.stats import Stats
from otel_llm.load.outputs.wandb import WandbSink
from otel_llm.load.show.llmuses_format import log_fields
from otel_llm.measures import Facts
from otel_llm.sinks import Ended
from otel_llm.testing import timeline
from tests.load.conftest import Perf
from tests.load.test_perf import chat
from tests.truthserver.process import TruthServer

HEAD = {"name": "my-run", "started_at": "2026-01-01T00:00:00+00:00"}


class FakeRun:
    def __init__(self) -> None:
        self.logged: list[dict[str, float]] = []
        self.finished = False

    def log(self, fields: dict[str, float]) -> None:
        self.logged.append(fields)

    def finish(self) -> None:
        self.finished = True


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = ModuleType("wandb")
    module.calls, module.run = [], FakeRun()
    module.login = lambda **given: module.calls.append(("login", given))

    def init(**given: Any) -> FakeRun:
        module.calls.append(("init", given))
        return module.run  # type: ignore[no-any-return]

    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_project_name_config_and_the_keys_after_every_request(fake: Any) -> None:
    sink = WandbSink("k" * 40, HEAD, "m", planned=3, concurrency=2)
    assert fake.calls == [
        ("login", {"key": "k" * 40}),
        (
            "init",
            {"project": "perf_benchmark", "name": "my-run", "config": {"model": "m", "time": HEAD["started_at"]}},
        ),
    ]
    records = [timeline("r..ab|"), timeline("r..ax"), timeline("r.ab|")]
    sink.take(Ended.of(*records))
    stats = Stats(3)
    for record, logged in zip(records, fake.run.logged, strict=True):
        stats.add(Facts.of(record))
        assert logged == log_fields(stats, 2)
        assert len(logged) == 14
    sink.close({})
    assert fake.run.finished


def test_a_key_that_is_refused_is_not_repeated(fake: Any) -> None:
    def login(key: str) -> None:
        raise ValueError(f"API key {key} is not valid\nmore")

    fake.login = login
    with pytest.raises(ConfigError, match=r"start a run, got 'API key \[redacted\] is not valid'"):
        WandbSink("a-secret", HEAD, "m", planned=1, concurrency=1)


def test_without_the_library_it_is_one_line_before_any_request(
    perf: Callable[..., Perf], truth: TruthServer, tmp_path: Path
) -> None:
    (tmp_path / "wandb.py").write_text("raise ImportError('not here')\n")
    run = perf(*chat(truth), "--wandb-api-key", "abc", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert run.code == 2
    assert run.err == (
        "otel-llm perf: expected the package wandb for --wandb-api-key; run pip install 'otel-llm[wandb]'\n"
    )
    assert not run.run_file.exists()
    assert truth.stats()["requests"] == 0


def logged(data: bytes) -> Iterator[bytes]:
    """Yield the records of the library's own file: a LevelDB log behind seven bytes of its own."""
    at, record = 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # a header is never split over two blocks
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        record += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


def test_the_real_library_offline_has_a_row_per_request(
    perf: Callable[..., Perf], truth: TruthServer, tmp_path: Path
) -> None:
    pytest.importorskip("wandb")
    from wandb.proto import wandb_internal_pb2

    env = {**os.environ, "WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "WANDB_SILENT": "true"}
    key = "0123456789abcdef" * 2 + "01234567"
    run = perf(*chat(truth, "itl_ms=1;tokens=4"), "-n", "6", "--wandb-api-key", key, env=env)
    assert run.code == 0, run.err
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    rows, begun = [], []
    for data in logged(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.HasField("history"):
            rows.append({item.key or item.nested_key[0]: item.value_json for item in record.history.item})
        elif record.HasField("run"):
            begun.append(record.run)
    assert begun[0].project == "perf_benchmark"
    assert begun[0].display_name == "run.db"
    assert {"model", "time"} <= {item.key for item in begun[0].config.update}
    keys = set(log_fields(Stats(1), 1))
    assert len(rows) == 6
    assert all(keys <= set(row) for row in rows)
    assert [row["completed"] for row in rows] == [str(n) for n in range(1, 7)]
    everything = b"".join(path.read_bytes() for path in run.folder.iterdir()) + run.out.encode() + run.err.encode()
    assert key.encode() not in everything

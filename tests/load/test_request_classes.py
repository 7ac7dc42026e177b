"""Classes of requests: each with prompts, lengths and parameters of its own, and told apart wherever figures stand."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from otel_llm import conventions
from otel_llm.cli import main
from otel_llm.measures import time_to_first_token
from otel_llm.sinks.stored_run import read_records
from otel_llm.testing import OtlpReceiver
from tests.load.conftest import Perf
from tests.load.test_sessions import Talker, talk

Run = Callable[..., Perf]

CHAT_AND_EXTRACT = """
[[class]]
name = "chat"
weight = 3
prompt = "hello"
parameters = { temperature = 0.7, stop = ["a", "b"] }

[[class]]
name = "extract"
model = "big"
dataset = "texts.txt"
output_tokens = 20
parameters = { response_format = { type = "json_object" } }
"""


@pytest.fixture
def classes(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        folder = tmp_path / "mix"
        folder.mkdir(exist_ok=True)
        (folder / "texts.txt").write_text("one\ntwo\n")
        (folder / "classes.toml").write_text(text)
        return str(folder / "classes.toml")

    return write


def test_each_class_asks_in_its_own_way_and_has_its_own_figures(
    classes: Callable[[str], str], perf: Run, tmp_path: Path
) -> None:
    with Talker() as server, OtlpReceiver() as receiver:
        words = talk(server, "-n", "80", "--parallel", "5", "--classes", classes(CHAT_AND_EXTRACT), "--seed", "1")
        to_receiver = "--otlp-endpoint", receiver.http_endpoint, "--otlp-protocol", "http/protobuf"
        run = perf(*words, "--parameters", "temperature=0.1", "top_p=1", *to_receiver)
    assert run.code == 0, run.err
    records = list(read_records(run.run_file))
    class_of = {record.index: record.attributes[conventions.REQUEST_CLASS] for record in records}
    asked = Counter(class_of.values())
    assert 48 < asked["chat"] < 72
    assert asked["chat"] + asked["extract"] == 80

    bodies = [json.loads(request.body) for request in server.requests]
    chats = [body for body in bodies if body["model"] == "m"]
    extracts = [body for body in bodies if body["model"] == "big"]
    assert (len(chats), len(extracts)) == (asked["chat"], asked["extract"])
    assert {body["messages"][-1]["content"] for body in chats} == {"hello"}
    assert {body["messages"][-1]["content"] for body in extracts} == {"one", "two"}
    assert all((b["temperature"], b["top_p"], b["stop"]) == (0.7, 1, ["a", "b"]) for b in chats)
    assert all((b["temperature"], b["response_format"]) == (0.1, {"type": "json_object"}) for b in extracts)
    assert {body.get("max_tokens") for body in chats} == {None}
    assert {body["max_tokens"] for body in extracts} == {20}

    assert [row["class"] for row in run.report["by_class"]] == ["chat", "extract"]
    assert {row["model"]: row["requests"]["sent"] for row in run.report["by_model"]} == {
        "m": asked["chat"], "big": asked["extract"]
    }  # fmt: skip
    for row in run.report["by_class"]:
        mine = [time_to_first_token(r) or 0 for r in records if class_of[r.index] == row["class"]]
        assert row["requests"]["succeeded"] == len(mine)
        assert row["measures"]["time_to_first_token"]["p50"] == pytest.approx(np.percentile(mine, 50))
    assert Counter(span.attributes[conventions.REQUEST_CLASS] for span in receiver.spans) == asked
    assert "extract" in run.out
    with sqlite3.connect(run.run_file) as db:
        db.execute("UPDATE run SET summary = NULL")
    again = tmp_path / "again.json"
    assert main(["report", str(run.run_file), "--json", str(again)]) == 0
    assert json.loads(again.read_text())["by_class"] == run.report["by_class"]


def test_the_class_of_a_session_depends_on_the_seed_alone(classes: Callable[[str], str], perf: Run) -> None:
    drawn = []
    for workers in ("1", "3"):
        with Talker() as server:
            more = "-n", "12", "--turns", "2", "--parallel", "3", "--workers", workers, "--classes"
            run = perf(*talk(server, *more, classes(CHAT_AND_EXTRACT), "--prompt", "x"))
        assert run.code == 0, run.err
        records = sorted(read_records(run.run_file), key=lambda record: record.index or 0)
        drawn.append([record.attributes[conventions.REQUEST_CLASS] for record in records])
        run.run_file.unlink()
    assert drawn[0] == drawn[1]
    assert drawn[0][::2] == drawn[0][1::2]  # both turns of a conversation
    assert len(set(drawn[0])) == 2


@pytest.mark.parametrize(
    ("text", "more", "line"),
    [
        ("x", [], "expected --classes FILE.toml with a [[class]] for each class, got "),
        ("", [], "Object missing required field `class`"),
        ("class = []", [], "expected --classes with a name for each class, used once, got "),
        ('[[class]]\nname = "a"\n[[class]]\nname = "a"', [], "classes.toml: a, a"),
        ('[[class]]\nname = "a"\nweight = 0', [], "expected weights above 0, got "),
        ('[[class]]\nname = "a"\nweight = nan', [], "expected weights above 0, got "),
        ('[[class]]\nname = "a"\ntemperature = 1', [], "Object contains unknown field `temperature`"),
        ('[[class]]\nname = "a"\nprompt = "x"\ninput_tokens = 5', [], "expected class a to have one of prompt, "),
        ('[[class]]\nname = "a"\ninput_tokens = "5"\noutput_tokens = "many"', [], "--output-tokens"),
        ('[[class]]\nname = "a"\ndataset = "nowhere.txt"', [], "nowhere.txt"),
        ('[[class]]\nname = "a"', [], "expected something to ask"),
        (CHAT_AND_EXTRACT, ["--model", "a=1", "b=2"], "expected one --model with --classes"),
        (CHAT_AND_EXTRACT, ["--protocol", "gemini"], "expected one --model with gemini, got 'several'; its URL names"),
        (CHAT_AND_EXTRACT, ["--trace", "t.csv"], "expected either --classes or --trace"),
        (CHAT_AND_EXTRACT, ["-n"], "expected -n or --duration with --classes"),
    ],
)
def test_what_cannot_be_is_one_line(
    text: str, more: list[str], line: str, classes: Callable[[str], str], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    number = [] if more == ["-n"] else ["-n", "3"]
    words = ["perf", "--url", "http://127.0.0.1:9/v1/chat/completions", "--classes", classes(text), *number]
    assert main([*words, *([] if more == ["-n"] else more), *([] if "--model" in more else ["--model", "m"])]) == 2
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1
    assert not list(tmp_path.glob("*.db"))

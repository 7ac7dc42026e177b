"""Traces: every format as it is published, bad rows, parts and samples of them, and replays that a server counted."""

import itertools
import json
import random
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.trace_rows import bailian, mooncake
from benchmarks.traces import blocks, rows_of, wrong_answers, wrong_prompts
from otel_llm.cli import main
from otel_llm.errors import ConfigError
from otel_llm.load.asked import Asked
from otel_llm.load.prompts.datasets import open_dataset
from otel_llm.load.prompts.formats import format_of
from otel_llm.load.traces.opening import FORMATS, open_trace
from otel_llm.load.traces.trace import Trace
from otel_llm.sim import Behaviour, SimServer
from otel_llm.sinks.stored_run import read_records
from tests.load.conftest import Perf
from tests.truthserver.process import TruthServer

Run = Callable[..., Perf]
SAMPLES = Path(__file__).parent / "traces"


def rows(trace: Trace) -> list[tuple[float, int | None, int | None, list[int]]]:
    """Return (s, tokens in, tokens out, blocks) of each row."""
    asked = [trace.asked(index) for index in range(len(trace))]
    return [
        (at / 1e9, each.input_tokens, each.output_tokens, list(each.blocks))
        for at, each in zip(trace.at_ns.tolist(), asked, strict=True)
    ]


def test_mooncake_is_in_milliseconds_with_blocks_of_512() -> None:
    trace = open_trace(SAMPLES / "mooncake.jsonl")
    assert rows(trace)[:2] == [(0.0, 1100, 6, [0, 1, 2]), (0.05, 1536, 3, [0, 1, 3])]
    assert trace.asked(0).block_tokens == 512
    assert len(trace) == 5


def test_bailian_is_in_seconds_with_blocks_of_16_and_chats() -> None:
    trace = open_trace(SAMPLES / "bailian.jsonl")
    assert rows(trace)[2] == (0.25, 70, 2, [10, 11, 14, 15, 16])
    assert trace.asked(0).block_tokens == 16
    assert trace.sessions is not None
    assert trace.sessions.tolist() == [0, 1, 0], "a chat goes by the number of the row that began it"


def test_azure_has_seven_digits_in_2023_and_a_zone_in_2024() -> None:
    trace = open_trace(SAMPLES / "azure.csv")
    assert rows(trace)[1] == (0.120698, 40, 9, [])
    assert trace.at_ns[2] / 1e9 == (31 + 29 + 31 + 30 + 16 + 14 + 31) * 86400 + 0.2
    assert trace.left_out == 1, "nothing was asked"


def test_burstgpt_has_sessions_in_some_releases() -> None:
    plain, named = open_trace(SAMPLES / "burstgpt.csv"), open_trace(SAMPLES / "burstgpt_sessions.csv")
    assert rows(plain) == [(0.0, 47, 8, []), (0.5, 108, 23, [])]
    assert (plain.left_out, plain.sessions) == (1, None)
    assert named.sessions is not None
    first, second, third, fourth = named.sessions.tolist()
    assert first == fourth
    assert len({first, second, third}) == 3


def test_of_spans_the_innermost_calls_are_replayed() -> None:
    trace = open_trace(SAMPLES / "otlp.jsonl")
    assert rows(trace) == [(0.0, 131, 9, []), (1.09, 150, 20, []), (2.19, 210, 10, []), (3.39, 64, 5, [])]
    assert trace.left_out == 1, "an error has no answer"
    assert trace.sessions is not None
    engine, first, second, alone = trace.sessions.tolist()
    assert first == second, "one conversation"
    assert len({engine, first, alone}) == 3


def test_a_batch_task_has_no_times_and_answers_or_blocks() -> None:
    asked, answered = open_trace(SAMPLES / "batch.jsonl"), open_trace(SAMPLES / "batch_answered.jsonl")
    assert rows(asked) == [(0, 70, None, [0, 1, 2, 3, 4]), (0, 48, None, [0, 1, 5]), (0, 80, None, [0, 1, 2, 6, 7])]
    assert (asked.block_tokens, asked.timed, answered.timed) == (16, False, False)
    assert rows(answered) == [(0.0, 61, 12, []), (0.0, 300, 5, [])]
    assert answered.left_out == 1, "nothing was answered"


def test_every_format_has_a_sample_and_is_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "workloads.md").read_text("utf-8")
    assert all(f"| `{name}` | {each.about}" in page for name, each in FORMATS.items())
    samples = {re.split(r"[._]", path.name)[0] for path in SAMPLES.iterdir()} - {"README"}
    assert samples == set(FORMATS) - {"run_file"}


GOOD = {"timestamp": 1, "input_length": 5, "output_length": 5, "hash_ids": [1]}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**GOOD, "timestamp": -1}, "got a time of -0.001 s; correct the row, or take it out"),
        ({**GOOD, "timestamp": None}, r"Expected `float`, got `null` - at `\$.timestamp`"),
        ({"timestamp": 1, "output_length": 5, "hash_ids": []}, "missing required field `input_length`"),
        ({**GOOD, "session_id": 4}, "unknown field `session_id`"),
        ({**GOOD, "input_length": -5}, "-5 and 5 tokens"),
        ({**GOOD, "input_length": 512, "hash_ids": [1, 2]}, "2 blocks of 512 tokens in a prompt of 512"),
        ("{", "malformed|truncated"),
    ],
)
def test_a_row_that_cannot_be_is_one_line_with_file_and_row(tmp_path: Path, row: Any, message: str) -> None:
    file = tmp_path / "trace.jsonl"
    text = row if isinstance(row, str) else json.dumps(row)
    file.write_text(f"{json.dumps(GOOD)}\n\n{text}\n")
    with pytest.raises(ConfigError, match=message) as error:
        open_trace(file)
    assert f"at {file}:3" in str(error.value)
    assert "\n" not in str(error.value)


SPAN = (
    '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"a","spanId":"b","startTimeUnixNano":"%d","attributes":['
    '{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},'
    '{"key":"gen_ai.usage.input_tokens","value":{"intValue":"%d"}},'
    '{"key":"gen_ai.usage.output_tokens","value":{"intValue":"5"}}]}]}]}]}'
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,5\n", r"a row of a trace at .*:2"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,5,\n", r"at .*:2, got \"?'?invalid literal"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,5,1\n", "Invalid isoformat string: 'yesterday'"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens,Region\n", "as mooncake, bailian"),
        ("Timestamp,Request tokens,Response tokens,Price\n1,2,3,4\n", "got 'Price'; take that column out"),
        ("a,b\n1,2\n", "got 'a, b'; rename its columns to those of docs/workloads.md"),
        ('{"prompt": "hi"}\n', "got 'prompts'; give it after --dataset"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,5,1,4\n", ":2, got 4 cells under 3 columns"),
        ("TIMESTAMP,ContextTokens,ContextTokens,GeneratedTokens\n", "each column of .* once, got 'ContextTokens'"),
        ('[{"timestamp": 1}]', "got 'a JSON list'; write one object a line; prompts go after --dataset"),
        ("{\n", "got 'a first line that is no JSON object'; write one object a line"),
        (SPAN % (1, -4), ":1, got -4 and 5 tokens"),
        (SPAN % (1 << 63, 4), r":1, got a time of 9\.22"),
        ("", "got 'no columns'"),
        ('{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"a","spanId":"b"}]}]}]}', r":1.*`startTimeUnixNano`"),
        ('{"resourceSpans":[]}', "expected requests with answers in .*, got 'none'"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n", "expected requests with answers in .*, got 'none'"),
    ],
)
def test_a_file_that_is_no_trace_says_what_it_is(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "trace.csv").write_text(text)
    with pytest.raises(ConfigError, match=message) as error:
        open_trace(tmp_path / "trace.csv")
    assert "\n" not in str(error.value)


def test_a_format_that_is_named_is_the_one_that_reads() -> None:
    with pytest.raises(ConfigError, match=r"out of mooncake, bailian, .*, otlp, servegen, weka, batch, got 'csv'"):
        open_trace(SAMPLES / "azure.csv", "csv")
    with pytest.raises(ConfigError, match=r"columns .*Request tokens.*, got 'no Timestamp'"):
        open_trace(SAMPLES / "azure.csv", "burstgpt")
    with pytest.raises(ConfigError, match=r"a readable trace at .*nowhere"):
        open_trace(SAMPLES / "nowhere")


@pytest.mark.parametrize("name", ["mooncake.jsonl", "azure.csv", "otlp.jsonl", "burstgpt.csv"])
def test_a_trace_in_the_place_of_a_dataset_is_one_line(name: str) -> None:
    with pytest.raises(ConfigError, match="; a trace goes after --trace") as error:
        list(open_dataset(format_of(SAMPLES / name), SAMPLES / name))
    assert str(SAMPLES / name) in str(error.value)


def test_rows_out_of_order_are_put_in_order_with_their_blocks(tmp_path: Path) -> None:
    lines = (SAMPLES / "mooncake.jsonl").read_text().splitlines()
    (tmp_path / "trace").write_text("\n".join(reversed(lines)))
    mixed = open_trace(tmp_path / "trace")
    assert sorted(rows(mixed)) == sorted(rows(open_trace(SAMPLES / "mooncake.jsonl")))
    assert (np.diff(mixed.at_ns) >= 0).all()


def test_a_byte_order_mark_is_no_part_of_a_row(tmp_path: Path) -> None:
    (tmp_path / "trace").write_bytes(b"\xef\xbb\xbf" + (SAMPLES / "mooncake.jsonl").read_bytes())
    assert rows(open_trace(tmp_path / "trace")) == rows(open_trace(SAMPLES / "mooncake.jsonl"))


def test_hashes_of_64_bits_are_ids_as_good_as_any(tmp_path: Path) -> None:
    small, large = {**GOOD, "hash_ids": [3]}, {**GOOD, "hash_ids": [1 << 60]}
    (tmp_path / "trace").write_text(f"{json.dumps(small)}\n{json.dumps(large)}\n{json.dumps(small)}\n")
    assert [blocks for *_, blocks in rows(open_trace(tmp_path / "trace"))] == [[3], [1 << 60], [3]]


def test_many_rows_are_what_each_is_alone(tmp_path: Path) -> None:
    """Rows are taken together, and one by one only to find what cannot be: neither moves a row or its number."""
    rows = [
        {**GOOD, "timestamp": at, "input_length": 600 + at, "hash_ids": [at, at + 1][: at % 3], "output_length": at % 7}
        for at in range(1000)
    ]
    lines = [json.dumps(row) for row in rows]
    file = tmp_path / "trace.jsonl"
    file.write_text("\n\n".join(lines))
    trace = open_trace(file)
    whole = [row for row in rows if row["output_length"]]
    assert [trace.asked(index) for index in range(len(trace))] == [
        Asked(row["input_length"], row["output_length"], row["hash_ids"], 512) for row in whole
    ]
    assert trace.left_out == len(rows) - len(whole)
    for wrong, number in ((lines[0] * 2, 901), ('{"timestamp": 1,\n"input_length": 5}', 901), (lines[0][:-9], 901)):
        file.write_text("\n".join([*lines[:900], wrong, *lines[901:]]))
        with pytest.raises(ConfigError, match=f":{number}, got"):
            open_trace(file)


def test_many_rows_of_a_table_are_what_each_is_alone(tmp_path: Path) -> None:
    header, file = "Timestamp,Session ID,Request tokens,Response tokens", tmp_path / "trace.csv"
    lines = [f"{at / 4},{at % 5 or ''},{at + 1},{at % 7}" for at in range(1000)]
    file.write_text("\n".join([header, "", *lines, "", ""]))
    trace = open_trace(file)
    kept = [at for at in range(1000) if at % 7]
    assert trace.input_tokens.tolist() == [at + 1 for at in kept]
    assert trace.sessions is not None
    assert len(set(trace.sessions.tolist())) == 4 + sum(at % 5 == 0 for at in kept)
    again = open_trace(file).sessions
    assert again is not None
    assert again.tolist() == trace.sessions.tolist(), "the same each time it is read"
    file.write_text("\n".join([header, "", *lines[:700], "1,2,3", *lines]))
    with pytest.raises(ConfigError, match=r":703, got '?3 cells under 4 columns"):
        open_trace(file)


def test_a_part_begins_at_its_own_start_and_can_be_faster() -> None:
    part = open_trace(SAMPLES / "mooncake.jsonl").between(0.02, 0.4).faster(2)
    assert [(at, tokens) for at, tokens, *_ in rows(part)] == [(0.015, 1536), (0.015, 20), (0.095, 1600)]
    assert rows(part)[2][3] == [0, 1, 3, 5]
    with pytest.raises(ConfigError, match=r"rows from 5 s to 6 s, got 'none in a trace of 0\.4 s'; widen --from"):
        open_trace(SAMPLES / "mooncake.jsonl").between(5, 6)


def bursts(path: Path) -> Trace:
    """Return a trace of 400 conversations: each is a burst of five rows that share a block; all rows share another."""
    draw = random.Random(1)
    begins = sorted(draw.uniform(0, 3600_000) for _ in range(400))
    found = [
        {**GOOD, "timestamp": at + 100 * turn, "input_length": 1100, "hash_ids": [0, 1 + chat, 1000 + 5 * chat + turn]}
        for chat, at in enumerate(begins)
        for turn in range(5)
    ]  # fmt: skip
    path.write_text("\n".join(json.dumps(row) for row in sorted(found, key=lambda row: row["timestamp"])))
    return open_trace(path)


def dispersion(trace: Trace) -> float:
    """Return the variance of the counts per second over their mean: 1 for independent arrivals."""
    counts = np.bincount((trace.at_ns // 1_000_000_000).astype(np.int64), minlength=3600)
    return float(counts.var() / counts.mean())


def test_a_sample_takes_whole_conversations_and_stays_as_bursty(tmp_path: Path) -> None:
    whole = bursts(tmp_path / "trace")
    sample = whole.sampled(0.25, seed=3)
    chats = [blocks[1] for *_, blocks in rows(sample)]
    assert all(len(list(group)) == 5 for _, group in itertools.groupby(sorted(chats)))
    assert 0.2 < len(sample) / len(whole) < 0.3
    assert dispersion(sample) > 0.8 * dispersion(whole) > 3
    alone = np.nonzero(np.random.default_rng(0).random(len(whole)) < 0.25)[0]
    assert dispersion(whole.take(alone)) < 0.6 * dispersion(whole), "rows drawn one by one would have lost it"
    assert rows(whole.sampled(0.25, seed=3)) == rows(sample)
    assert rows(whole.sampled(0.25, seed=4)) != rows(sample)


def test_rows_without_sessions_are_sampled_one_by_one() -> None:
    trace = open_trace(SAMPLES / "azure.csv")
    assert len(trace.sampled(1, 0)) == len(trace)
    with pytest.raises(ConfigError, match="a row in a sample of 1e-09, got 'none of 3'; give a larger --sample"):
        trace.sampled(1e-9, 0)


READ = """
import sys
import psutil
from pathlib import Path
from otel_llm.load.traces.opening import open_trace
before = psutil.Process().memory_info().rss
trace = open_trace(Path(sys.argv[1]))
print(len(trace), psutil.Process().memory_info().rss - before)
"""


@pytest.mark.parametrize("make", [mooncake, bailian])
def test_a_large_trace_is_columns_and_not_objects(make: Callable[[int], Iterator[str]], tmp_path: Path) -> None:
    """84 bytes a row of 15 blocks, or 124, and what growing arrays leave behind; objects take ten times as much."""
    file = tmp_path / "large.jsonl"
    file.write_text("".join(f"{line}\n" for line in make(100_000)))
    asked = [sys.executable, "-c", READ, str(file)]
    count, grown = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    assert int(count) == 100_000
    assert int(grown) / 100_000 < 300


# -- replays ------------------------------------------------------------------------------------------------------


def bodies(run: Perf) -> list[dict[str, Any]]:
    found = sqlite3.connect(run.run_file).execute("SELECT request FROM result ORDER BY request_index").fetchall()
    return [json.loads(body) for (body,) in found]


def sent_s(run: Perf) -> list[float]:
    """Return when each request was meant to be sent, seconds from the first."""
    records = sorted(read_records(run.run_file), key=lambda record: record.index or 0)
    return [((record.intended_ns or 0) - (records[0].intended_ns or 0)) / 1e9 for record in records]


def test_a_replay_has_the_times_the_lengths_and_the_blocks_of_its_trace(perf: Run) -> None:
    """What was cached is counted by the server: prompts 2 and 4 begin as those before them, by two and three blocks."""
    with SimServer(Behaviour(cache_block=16)) as sim:
        to = ["--url", sim.url, "--model", "m", "--trace", str(SAMPLES / "mooncake.jsonl")]
        run = perf(*to)
        log = {row["prompt_tokens"]: row for row in sim.log}
        sim.reset()
        again = perf(*to, "--workers", "2")
    assert sent_s(run) == pytest.approx([0, 0.05, 0.05, 0.21, 0.4])
    assert run.report["measures"]["queue_delay"]["count"] == 5
    assert {tokens: row["cached_tokens"] for tokens, row in log.items()} == {
        1100: 0,
        1536: 1024,
        20: 0,
        1600: 1536,
        600: 0,
    }
    assert {tokens: row["tokens"] for tokens, row in log.items()} == {1100: 6, 1536: 3, 20: 12, 1600: 5, 600: 2}
    lengths = run.report["lengths"]
    assert lengths["input"]["difference"] == lengths["output"]["difference"] == {"min": 0, "p50": 0, "max": 0}
    assert lengths["cached"] == {"possible": pytest.approx(2560 / 4856), "said": pytest.approx(2560 / 4856)}
    assert "52.7% of their tokens had been sent before, 52.7% by the server's count" in run.out
    assert bodies(run) == bodies(again), "any worker makes the same request"


def test_a_batch_task_is_sent_as_it_is_told(perf: Run) -> None:
    with SimServer(Behaviour(cache_block=16)) as sim:
        to = ["--url", sim.url, "--model", "m", "--trace"]
        run = perf(*to, str(SAMPLES / "batch.jsonl"), "--parallel", "1")
        found = [(row["prompt_tokens"], row["cached_tokens"], row["tokens"]) for row in sim.log]
        sim.reset()
        perf(*to, str(SAMPLES / "batch_answered.jsonl"), "--rate", "50")
        answered = [(row["prompt_tokens"], row["tokens"]) for row in sim.log]
    assert found == [(70, 0, 16), (48, 32, 16), (80, 48, 16)]
    assert answered == [(61, 12), (300, 5)]
    assert "replayed batch.jsonl: 3 requests, which have no times of their own" in run.report["notes"]


@pytest.mark.parametrize(
    ("name", "to_s", "shared"),
    [("mooncake.jsonl", 1, 5), ("bailian.jsonl", 1, 2), ("weka", 1, 7), ("azure.csv", 1, 0), ("burstgpt.csv", 30, 0)],
)
def test_a_server_that_knows_no_trace_counts_what_the_trace_says(
    perf: Run, truth: TruthServer, name: str, to_s: float, shared: int
) -> None:
    part = open_trace(SAMPLES / name).between(0, to_s)
    url = f"{truth.url}/x/block_words={part.block_tokens or 16}/v1/chat/completions"
    run = perf("--url", url, "--model", "m", "--trace", str(SAMPLES / name), "--to", str(to_s))
    rows = rows_of(list(read_records(run.run_file)), truth.log())
    assert len(rows) == len(part) >= 2
    assert (wrong_prompts(part, rows), wrong_answers(part, rows)) == (0, 0)
    assert blocks(part, rows) == (shared, 0)
    if shared:
        others = [(index, {**row, "prefixes": row["prefixes"][::-1]}) for index, row in rows]
        assert blocks(part, others)[1] > 0, "prompts that are not shared as the ids say are told"


def test_a_replay_can_be_faster_shorter_and_without_its_times(perf: Run) -> None:
    with SimServer(Behaviour()) as sim:
        to = ["--url", sim.url, "--model", "m", "--trace", str(SAMPLES / "mooncake.jsonl")]
        fast = perf(*to, "--speedup", "2", "--from", "0.05", "--to", "0.3")
        closed = perf(*to, "--parallel", "2", "-n", "7")
    assert sent_s(fast) == pytest.approx([0, 0, 0.08])
    assert any(
        "replayed mooncake.jsonl: 3 of 5 requests over 0.08 s, 2 times as fast" in n for n in fast.report["notes"]
    )
    assert [body["max_tokens"] for body in bodies(closed)] == [6, 3, 12, 5, 2, 6, 3]
    assert any("5 requests not at its times" in note for note in closed.report["notes"])
    assert closed.report["lengths"]["cached"]["said"] is None
    assert "the server does not say" in closed.out


def test_a_run_is_replayed_from_its_file(perf: Run, tmp_path: Path) -> None:
    with SimServer(Behaviour(tokens=3)) as sim:
        to = ["--url", sim.url, "--model", "m"]
        first = perf(*to, "--dataset", "openqa", "-n", "12", "--rate", "60", "--parameters", "temperature=0")
        second = perf(*to, "--trace", str(first.run_file))
        bare = perf(*to, "--input-tokens", "uniform:10..40", "-n", "5", "--no-content")
        third = perf(*to, "--trace", str(bare.run_file))
    assert [body["messages"] for body in bodies(second)] == [body["messages"] for body in bodies(first)]
    assert {body["max_tokens"] for body in bodies(second)} == {3}
    assert sent_s(second) == pytest.approx(sent_s(first))
    assert len(bodies(third)) == 5
    assert third.report["lengths"]["input"]["asked"] == bare.report["lengths"]["input"]["found"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--speedup", "2"], "expected --trace FILE with --speedup"),
        (["--to", "2"], "expected --trace FILE with --to"),
        (["--trace", "x", "--prompt", "y"], "expected either --trace or --prompt, got 'both'"),
        (["--trace", "x", "--speedup", "0"], "expected --speedup to be above 0, got 0.0"),
        (["--trace", "x", "--sample", "2"], "expected --sample to be above 0 and at most 1, got 2.0"),
        (["--trace", "x", "--from", "3", "--to", "2"], "expected --from to be 0 or more, and before --to"),
        (["--trace", "x", "--from", "-3"], "expected --from to be 0 or more"),
        (["--trace", str(SAMPLES / "mooncake.jsonl"), "--cache-bust"], "whose prompts share text, got 'both'"),
        (["--trace", str(SAMPLES / "none")], "expected a readable trace at"),
        (["--trace", str(SAMPLES / "batch.jsonl")], "expected --parallel N or --rate X with a trace without times"),
        (
            ["--trace", str(SAMPLES / "batch.jsonl"), "--rate", "9", "--speedup", "2"],
            "expected a trace with times for --speedup",
        ),
    ],
)
def test_what_cannot_be_replayed_is_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["perf", "--model", "m", "--url", "http://127.0.0.1:9/v1", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []

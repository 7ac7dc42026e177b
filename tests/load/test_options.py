"""What the options do, each against a server that knows the truth. The S4 numbers are rows of docs/compatibility.md."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_llm.sim import Behaviour, SimServer
from otel_llm.sinks.stored_run import read_records, read_run
from otel_llm.testing import CLOSE, ScriptedServer
from tests.in_process import command
from tests.load.conftest import Perf
from tests.load.test_perf import ANSWER, chat
from tests.truthserver.process import TruthServer

Run = Callable[..., Perf]

DOCUMENTED = (
    *("--model", "--url", "--dataset", "--connect-timeout", "--read-timeout", "--max-prompt-length"),
    *("--min-prompt-length", "--prompt", "-n", "--number", "--parallel", "--rate", "--log-every-n-query"),
    *("--parameters", "--headers", "--parser", "--wandb-api-key", "--name", "--debug", "--tokenizer-path"),
)


def test_help_has_every_option_of_the_guide_in_groups() -> None:
    """`perf --help` shows every option of the `llmuses perf` guide. (S4.1)"""
    text = command("perf", "--help").stdout
    for option in DOCUMENTED:
        assert re.search(rf"(^|[ ,]){option}\b", text, re.MULTILINE), option
    groups = re.findall(r"^([a-z][a-z ,]+):$", text, re.MULTILINE)
    assert groups == [
        "options",
        "what to ask",
        "how much, and when",
        "on which machines",
        "when to stop",
        "where the results go",
        "what is good enough",
        "how to reach it",
    ]
    required = [word for word in re.findall(r"--[a-z-]+ [A-Z]+", text.split("\n\n", maxsplit=1)[0]) if word]
    assert "--model MODEL" in required
    assert not [line for line in text.splitlines() if len(line) > 100]


def test_the_glossary_explains_every_measure_without_a_model() -> None:
    """S4.30-S4.42: what each figure means."""
    done = command("perf", "--glossary")
    assert done.returncode == 0
    assert "first chunk with text, reasoning or tool content - sent" in done.stdout
    assert "wall time over all output tokens" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--grace", "3"], "--grace together with --duration"),
        (["--append"], "--name NAME with --append"),
        (["--duration", "0"], "--duration to be above 0"),
        (["--max-errors", "0"], "--max-errors to be 1 or more"),
        (["--max-tokens-total", "0"], "--max-tokens-total to be 1 or more"),
        (["--warmup", "-1"], "--warmup to be 0 or more"),
        (["--rate", "-1", "--duration", "3"], "-n N with --rate -1"),
        (["--api-key-env", "OTEL_LLM_NO_SUCH_KEY"], "a key in the environment variable OTEL_LLM_NO_SUCH_KEY"),
        (["--api-key-file", "/nowhere/at/all"], "--api-key-file to name a readable text file"),
        (["--open"], "--open together with --view"),
        (["--url", "http://a/v1/chat/completions", "http://a/v1/messages"], "URLs of one protocol"),
        (["--connect-timeout", "0"], "--connect-timeout to be above 0"),
        (["--read-timeout", "-1"], "--read-timeout to be above 0"),
        (
            ["--read-timeout", "soon"],
            "--read-timeout: expected seconds, or a number with us, ms, s, min or h, got 'soon'",
        ),
        (["--no-such-option"], "unrecognized arguments: --no-such-option"),
    ],
)
def test_bad_values_are_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], words: str) -> None:
    """S4.5, S4.6, S4.13 and the options that the `llmuses perf` guide does not have."""
    given = ["perf", "--model", "m", "--prompt", "x", *arguments]
    done = command(*given, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_model_name_with_a_slash_names_the_run_file(tmp_path: Path) -> None:
    """The run file is named by model and time, in the folder it was started in. (S4.2, S4.18)"""
    words = ["perf", "--model", "org/model", "--prompt", "x", "--url", "http://127.0.0.1:9/v1/chat/completions"]
    subprocess.run([sys.executable, "-m", "otel_llm.cli", *words], capture_output=True, check=False, cwd=tmp_path)
    (made,) = tmp_path.iterdir()
    assert re.fullmatch(r"org_model_benchmark_\d{4}(_\d\d){5}_\d{6}\.db", made.name)


def test_a_logging_level_that_there_is_not(perf: Run) -> None:
    """S4.30: LOGGING_LEVEL"""
    run = perf("--model", "m", "--prompt", "x", env={**os.environ, "LOGGING_LEVEL": "loud"})
    assert run.code == 2
    assert "LOGGING_LEVEL out of debug, info, warning, error, got 'loud'" in run.err


def test_debug_logs_what_was_asked_and_what_came_back_without_secrets(perf: Run, truth: TruthServer) -> None:
    """S4.19: by --debug or by LOGGING_LEVEL; a secret that the server repeats is left out, too."""
    common = [*chat(truth, "itl_ms=1;tokens=3"), "--headers", "Authorization=Bearer very-secret=="]
    asked = ["--parameters", "text=very-secret==", "api_key=abc", "max_tokens=9"]
    for arguments, env in ((["--debug"], {}), ([], {"LOGGING_LEVEL": "debug"})):
        run = perf(*common, *asked, *arguments, env={**os.environ, **env})
        assert run.code == 0, run.err
        assert "request 0: POST" in run.err
        assert '"max_tokens":9' in run.err
        assert "response 0: status 200, 6 events" in run.err
        assert '"content":" tok"' in run.err
        assert "very-secret" not in run.err
        assert '"abc"' not in run.err
    quiet = perf(*common, "-n", "20", env={**os.environ, "LOGGING_LEVEL": "warning"})
    assert quiet.err == ""


def test_keys_come_from_the_environment_or_a_file_and_are_written_nowhere(perf: Run, tmp_path: Path) -> None:
    """S4.15: in the protocol's own header; one that is given with --headers wins."""
    file = tmp_path / "key"
    file.write_text("sk-from-the-file\nsecond line\n")
    for url, arguments, header, value in (
        ("/v1/chat/completions", ["--api-key-file", str(file)], "authorization", "Bearer sk-from-the-file"),
        ("/v1/messages", ["--api-key-env", "MY_KEY"], "x-api-key", "sk-from-the-environment"),
        (
            "/v1/chat/completions",
            ["--api-key-env", "MY_KEY", "--headers", "authorization=Mine"],
            "authorization",
            "Mine",
        ),
    ):
        with ScriptedServer([ANSWER, CLOSE]) as server:
            run = perf(
                "--url", f"{server.url}{url}", "--model", "m", "--prompt", "x", "--debug", *arguments,
                env={**os.environ, "MY_KEY": "sk-from-the-environment"},
            )  # fmt: skip
            assert server.requests[0].headers[header] == value
        everything = b"".join(path.read_bytes() for path in run.folder.iterdir())
        assert b"sk-from" not in everything + run.out.encode() + run.err.encode()


def test_a_new_connection_for_every_request(perf: Run, truth: TruthServer) -> None:
    arguments = chat(truth, "ttft_ms=5;itl_ms=1;tokens=3")
    for extra, connections in ((["--new-connection"], 12), ([], 2)):
        run = perf(*arguments, "--parallel", "2", "-n", "12", *extra)
        assert run.report["measures"]["connect_time"]["count"] == connections
        assert run.report["requests"]["succeeded"] == 12
        assert len({row["remote"] for row in truth.log()}) == connections
        truth.reset()


def test_a_duration_begins_nothing_more_and_waits_for_what_is_under_way(perf: Run, truth: TruthServer) -> None:
    run = perf(*chat(truth, "ttft_ms=200;itl_ms=10;tokens=11"), "--duration", "1", "--parallel", "4", "--ramp", "0")
    assert run.code == 0, run.err
    report = run.report
    requests = report["requests"]
    assert report["ended_by"] == "duration"
    assert requests["planned"] == requests["succeeded"] == truth.stats()["requests"]
    assert 12 <= requests["succeeded"] <= 16
    assert 1.0 < report["duration"] < 1.6
    assert "stopped sending after 1 s and waited up to 30 s" in run.out


def test_what_outlasts_the_grace_period_is_cut_off_and_said_to_be(perf: Run, truth: TruthServer) -> None:
    began = time.monotonic()
    run = perf(
        *chat(truth, "ttft_ms=1;itl_ms=1000;tokens=100"), "--duration", "0.5", "--grace", "0.5", "--parallel", "3"
    )  # fmt: skip
    assert time.monotonic() - began < 15
    assert run.report["requests"]["cancelled"] == 3
    assert run.report["requests"]["planned"] == 3
    assert "3 requests were cut off" in " ".join(run.out.split())


def test_an_open_loop_of_a_duration_plans_what_falls_into_it(perf: Run, truth: TruthServer) -> None:
    run = perf(*chat(truth, "ttft_ms=5;itl_ms=1;tokens=3"), "--rate", "40", "--duration", "1")
    assert run.code == 0, run.err
    planned = run.report["requests"]["planned"]
    assert 20 < planned < 60
    assert run.report["requests"]["succeeded"] == planned == truth.stats()["requests"]


def test_constant_arrivals_are_evenly_apart_and_the_run_says_so(perf: Run, truth: TruthServer) -> None:
    arguments = chat(truth, "ttft_ms=5;itl_ms=1;tokens=3")
    run = perf(*arguments, "--rate", "40", "-n", "10", "--arrivals", "constant", "--workers", "2")
    assert run.code == 0, run.err
    at = sorted(record.intended_ns for record in read_records(run.run_file))
    assert [moment - at[0] for moment in at] == [25_000_000 * i for i in range(10)]
    assert run.report["run"]["arguments"]["arrivals"] == read_run(run.run_file)["arguments"]["arrivals"] == "constant"


def test_arrivals_need_a_rate_and_a_name_that_there_is() -> None:
    given = ["perf", "--model", "m", "--prompt", "x", "--arrivals"]
    alone = command(*given, "constant")
    assert alone.returncode == 2
    assert alone.stderr == "otel-llm perf: expected --arrivals together with --rate, got '--arrivals constant alone'\n"
    unknown = command(*given, "weekly", "--rate", "2")
    assert unknown.returncode == 2
    assert (
        unknown.stderr
        == "otel-llm perf: expected --arrivals to be one of poisson, constant, uniform, gamma:CV, got 'weekly'\n"
    )


def test_warm_up_is_sent_and_not_counted(perf: Run, truth: TruthServer) -> None:
    run = perf(*chat(truth, "ttft_ms=5;itl_ms=1;tokens=3"), "--warmup", "5", "-n", "4", "--parallel", "2")
    assert truth.stats()["requests"] == 9
    assert run.report["warmup"] == {"requests": 5, "succeeded": 5, "failed": 0}
    assert run.report["requests"]["planned"] == len(list(read_records(run.run_file))) == 4
    assert "5 warm-up requests before the run are not counted" in run.out


def test_cache_bust_makes_every_prompt_different(perf: Run, truth: TruthServer) -> None:
    """Without it, one prompt sent again and again is pointed out."""
    arguments = [*chat(truth, "itl_ms=1;tokens=2"), "-n", "20"]
    assert "one prompt is sent 20 times" in " ".join(perf(*arguments).out.split())
    for extra in ([], ["--parser", "openai_prompt"]):
        run = perf(*arguments, "--cache-bust", *extra)
        assert "one prompt is sent" not in run.out
        db = sqlite3.connect(run.run_file)
        prompts = [json.loads(row[0])["messages"][0]["content"] for row in db.execute("SELECT request FROM result")]
        db.close()
        assert len(set(prompts)) == 20
        assert all(re.fullmatch(r"[0-9a-f]{16} hello", prompt) for prompt in prompts)


def test_so_many_errors_end_the_run(perf: Run, truth: TruthServer) -> None:
    run = perf(*chat(truth, "fault=500"), "-n", "100000", "--parallel", "2", "--max-errors", "7")
    assert run.code == 1
    requests = run.report["requests"]
    assert run.report["ended_by"] == "max_errors"
    assert 7 <= requests["failed"] == requests["sent"] - requests["cancelled"] <= 8  # one was under way


def test_a_token_budget_lets_what_is_under_way_end(perf: Run, truth: TruthServer) -> None:
    run = perf(
        *chat(truth, "ttft_ms=20;itl_ms=2;tokens=50"), "-n", "5000", "--parallel", "2", "--max-tokens-total", "500"
    )
    assert run.code == 0, run.err
    report = run.report
    assert report["ended_by"] == "max_tokens_total"
    assert 500 <= report["tokens"]["input"] + report["tokens"]["output"] < 1500
    assert report["requests"]["cancelled"] == 0


@pytest.mark.parametrize("loop", [["--parallel", "3"], ["--rate", "200"]])
def test_several_urls_are_asked_in_turn(perf: Run, loop: list[str]) -> None:
    with SimServer(Behaviour(tokens=2)) as one, SimServer(Behaviour(tokens=4)) as two:
        urls = [f"{server.url}/v1/chat/completions" for server in (one, two)]
        run = perf("--url", *urls, "--model", "m", "--prompt", "x", "-n", "20", *loop)
        assert run.code == 0, run.err
        assert len(one.log) == len(two.log) == 10
    tokens = {record.index: record.output_tokens for record in read_records(run.run_file)}
    assert tokens == {i: 4 if i % 2 else 2 for i in range(20)}


@pytest.mark.parametrize("number", [None, 7, 3])
def test_a_dataset_is_gone_through_again_until_the_number_is_reached(
    perf: Run, truth: TruthServer, tmp_path: Path, number: int | None
) -> None:
    """S4.4, S4.7, S4.8, S4.10: one pass without -n; lengths in characters, exclusive on both sides."""
    dataset = tmp_path / "prompts.txt"
    dataset.write_text("12345\n\n1234567\n123456789\n123\n1234567890123\n")
    run = perf(
        *chat(truth, "itl_ms=1;tokens=2")[:4], "--dataset", str(dataset), *(["-n", str(number)] if number else []),
        "--min-prompt-length", "3", "--max-prompt-length", "13",
    )  # fmt: skip
    db = sqlite3.connect(run.run_file)
    rows = db.execute("SELECT request FROM result ORDER BY request_index").fetchall()
    db.close()
    prompts = [json.loads(row[0])["messages"][0]["content"] for row in rows]
    assert prompts == (["12345", "1234567", "123456789"] * 3)[: number or 3]


def test_a_prompt_of_a_file_and_before_a_dataset(perf: Run, truth: TruthServer, tmp_path: Path) -> None:
    """`--prompt @FILE` sends what the file holds, and wins over `--dataset`. (S4.9)"""
    prompt, dataset = tmp_path / "p.txt", tmp_path / "d.txt"
    prompt.write_text("from the file")
    dataset.write_text("from the dataset\n")
    run = perf(*chat(truth, "itl_ms=1")[:4], "--prompt", f"@{prompt}", "--dataset", str(dataset))
    db = sqlite3.connect(run.run_file)
    ((body,),) = db.execute("SELECT request FROM result").fetchall()
    db.close()
    assert json.loads(body)["messages"] == [{"role": "user", "content": "from the file"}]
    assert "note  --prompt comes before --dataset, which was not read" in run.out


def test_a_url_without_a_scheme_says_what_one_looks_like() -> None:
    """`--url` is a whole URL, with its scheme. (S4.3)"""
    done = command("perf", "--model", "m", "--prompt", "x", "--url", "localhost")
    assert done.returncode == 2
    assert "begin it with http:// or https://" in done.stderr

"""What users type: numbers that cannot be, other tools' names, Python's words, prompts that begin with @."""

from pathlib import Path

import pytest

from otel_llm.cli import main
from otel_llm.errors import ConfigError
from otel_llm.load.plan.arguments import add_arguments
from otel_llm.load.plan.option_values import parse_key_values, read_prompt
from otel_llm.load.plan.other_tools import OTHER_NAMES


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--rate", value] for value in ("nan", "inf", "1e-300", "-2", "0")),
        *(["--ramp", value] for value in ("nan", "inf", "-1")),
        *(["--duration", value] for value in ("nan", "inf", "-1", "0")),
        *(["--grace", value, "--duration", "1"] for value in ("nan", "-1")),
        *(["--read-timeout", value] for value in ("nan", "inf", "-1")),
        *(["--slo", value] for value in ("ttft=nan", "ttft=-1", "ttft=", "nothing=1")),
        *(["--slo-attainment", value, "--slo", "ttft=1"] for value in ("nan", "0", "1.1")),
        ["--seed", "-1", "--rate", "5"], ["-n", "-1"], ["-n", "9999999999999999"], ["--max-prompt-length", "-1"],
        ["--min-prompt-length", "-5"], ["--warmup", "-1"], ["--workers", "0"],
        ["--max-concurrency", "0", "--rate", "1"], ["--output-tokens", "0"], ["--output-tokens", "gamma:1,2"],
        ["--input-tokens", "5"], ["--output-tokens", "5", "--parser", "openai_prompt"],
    ],
)  # fmt: skip
def test_a_number_that_cannot_be_is_one_line_and_exit_code_2(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["perf", "--model", "m", "--prompt", "x", "--url", "http://127.0.0.1:9/v1", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert arguments[0].removeprefix("--slo-").strip("-") in said or "NAME=TIME" in said
    assert list(tmp_path.iterdir()) == []


def test_a_dash_is_no_name_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "a.db", "b.db", "--json", "-"]) == 2
    assert capsys.readouterr().err == (
        "otel-llm compare: expected a file for the JSON report, got '-'; "
        "give --json a name: the terminal has the report\n"
    )


def test_a_percentage_without_its_sign_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["perf", "--model", "m", "--prompt", "x", "--url", "http://127.0.0.1:9/v1/chat/completions"]
    assert main([*words, "--slo", "ttft=1s", "--slo-attainment", "99"]) == 2
    assert capsys.readouterr().err.endswith("at most 1, got 99.0; write 99% for a percentage\n")


@pytest.mark.parametrize(
    ("option", "ours"),
    [
        ("--concurrency", "--parallel N"), ("--num-prompts", "-n N"), ("--request-rate", "--rate R"),
        ("--base-url", "--url URL"), ("--max_concurrency", "--max-concurrency"), ("--paralel", "--parallel"),
        ("--random-input-len=5", "--input-tokens N"), ("--ignore-eos", "ignore_eos=true"),
    ],
)  # fmt: skip
def test_an_option_of_another_tool_is_answered_with_ours(
    option: str, ours: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["perf", "--model", "m", "--prompt", "x", option, "5"])
    said = capsys.readouterr().err
    assert f"unrecognized arguments: {option.partition('=')[0]}; did you mean {ours}" in said.replace(
        "--parameters ", ""
    )
    assert said.count("\n") == 1


def test_no_option_of_ours_is_said_to_be_of_another_tool() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    ours = {flag.lstrip("-") for action in parser._actions for flag in action.option_strings if flag.startswith("--")}
    assert not ours & set(OTHER_NAMES)
    for meant in OTHER_NAMES.values():
        assert all(word.lstrip("-") in ours | {"n"} for word in meant.split() if word.startswith("-")), meant


def test_a_word_too_many_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["perf", "--model", "m", "--prompt", "x", "sk-a-key"])
    assert "a word that belongs to no option; quote what has spaces in it" in capsys.readouterr().err
    assert main(["perf", "--model", "m", "sk-a-key", "--prompt", "x"]) == 2
    assert "sk-a-key" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("True", True), ("False", False), ("None", None), (".7", 0.7), ("-.5", -0.5), ("1.", 1.0), ("1e3", 1000.0),
        ("true", True), ("null", None), ("NaN", "NaN"), ("inf", "inf"), ('"True"', "True"), ("TRUE", "TRUE"),
        ("1.2.3", "1.2.3"), ("007", "007"), ("+5", "+5"), ("", ""),
    ],
)  # fmt: skip
def test_parameters_in_the_words_of_python(text: str, value: object) -> None:
    found = parse_key_values("--parameters", [f"a={text}"])["a"]
    assert (found, type(found)) == (value, type(value))


def test_prompts_that_begin_with_an_at_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_prompt("@ann what do you think?") == "@ann what do you think?"
    assert read_prompt("@@ann") == "@ann"
    assert read_prompt("@@@") == "@@"
    (tmp_path / "my prompt.txt").write_bytes(b"\xef\xbb\xbfWhy?\n")
    assert read_prompt("@my prompt.txt") == "Why?\n"
    (tmp_path / "wide").write_text("Grüße", encoding="utf-16")
    assert read_prompt("@wide") == "Grüße"
    with pytest.raises(ConfigError, match="write @@ for a prompt that begins with @"):
        read_prompt("@nowhere.txt")

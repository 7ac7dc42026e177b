"""Runs whose prompts and answers have the lengths that were asked for."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otel_llm.load.prompts.tokenizers import load_tokenizer
from otel_llm.sim import Behaviour, SimServer
from otel_llm.wire.discovery import load_protocol, protocols
from tests.asking import ask_of
from tests.load.conftest import Perf
from tests.load.tokenizers_made import byte_level

Run = Callable[..., Perf]


def sent(run: Perf) -> list[dict[str, Any]]:
    """Return the bodies of a run's requests, in the order of their numbers."""
    rows = sqlite3.connect(run.run_file).execute("SELECT request, record FROM result").fetchall()
    return [json.loads(body) for body, _ in sorted(rows, key=lambda row: json.loads(row[1])["index"])]


def content(body: dict[str, Any]) -> str:
    return str(body["messages"][0]["content"])


def test_prompts_are_exact_by_the_tokenizer_and_answers_by_the_server(perf: Run, tmp_path: Path) -> None:
    file = byte_level(tmp_path / "tokenizer.json")
    asked = ["--input-tokens", "uniform:5..60", "--output-tokens", "uniform:1..9", "--tokenizer-path", str(file)]
    with SimServer(Behaviour(text=" river")) as sim:
        run = perf("--url", sim.url, "--model", "m", *asked, "-n", "40", "--parallel", "3")
        again = perf("--url", sim.url, "--model", "m", *asked, "-n", "40", "--parallel", "4", "--workers", "2")
        other = perf("--url", sim.url, "--model", "m", *asked, "-n", "40", "--parallel", "4", "--seed", "1")
    bodies, counter = sent(run), load_tokenizer(file)
    lengths = [counter.count(content(body)) for body in bodies]
    assert all(5 <= length <= 60 for length in lengths)
    assert len(set(lengths)) > 20
    assert all(body["max_tokens"] == body["min_tokens"] and body["ignore_eos"] is True for body in bodies)
    assert len({content(body) for body in bodies}) == 40
    assert bodies == sent(again), "so many workers change nothing"
    assert not {content(body) for body in bodies} & {content(body) for body in sent(other)}
    report = run.report
    assert report["flags"] == {}
    assert report["lengths"]["input"]["asked"] == sum(lengths) / 40
    assert report["lengths"]["output"]["asked"] == sum(body["max_tokens"] for body in bodies) / 40
    assert report["lengths"]["output"]["difference"] == {"min": 0, "p50": 0, "max": 0}
    assert report["lengths"]["input"]["difference"]["min"] > 0, "the simulator counts the bytes of the body"
    assert "answers " in run.out
    assert "(the same)" in run.out


def test_without_a_tokenizer_lengths_are_near_and_said_to_be(perf: Run) -> None:
    with SimServer(Behaviour()) as sim:
        run = perf("--url", sim.url, "--model", "m", "--input-tokens", "30", "-n", "5")
    assert {len(content(body).split()) for body in sent(run)} == {30}
    assert all("max_tokens" not in body for body in sent(run))
    assert any("a word is taken for a token" in note for note in run.report["notes"])


def test_a_run_of_a_duration_never_repeats_a_prompt_and_its_warm_up_is_another(perf: Run) -> None:
    with SimServer(Behaviour(ttft_ms=1)) as sim:
        made = ["--url", sim.url, "--model", "m", "--input-tokens", "20", "--warmup", "3", "--duration", "0.5"]
        run = perf(*made, "--cache-bust", "--output-tokens", "2")
        warm = perf(*made, "--jsonl", "records.jsonl", "--debug", "-n", "2")
    prompts = [content(body) for body in sent(run)]
    assert len(prompts) > 20
    assert len(set(prompts)) == len(prompts)
    assert not set(prompts) & {content(body) for body in sent(warm)}, "--cache-bust leaves no prompt as it was"
    assert not any("one prompt is sent" in note for note in run.report["notes"])


def test_prompts_of_a_dataset_get_answers_of_drawn_lengths(perf: Run) -> None:
    with SimServer(Behaviour()) as sim:
        run = perf("--url", sim.url, "--model", "m", "--prompt", "hi", "--output-tokens", "uniform:2..30", "-n", "20")
        words = ["ignore_eos=null", "min_tokens=null"]
        plain = perf("--url", sim.url, "--model", "m", "--prompt", "hi", "--output-tokens", "5", "--parameters", *words)
    assert len({body["max_tokens"] for body in sent(run)}) > 5
    assert run.report["lengths"]["input"] is None
    assert any("one prompt is sent 20 times" in note for note in run.report["notes"])
    (body,) = sent(plain)
    assert body["max_tokens"] == 5
    assert not {"ignore_eos", "min_tokens"} & set(body)


def test_a_server_that_ends_early_is_seen_in_the_lengths(perf: Run) -> None:
    with SimServer(Behaviour(tokens=4)) as sim:
        run = perf("--url", sim.url, "--model", "m", "--input-tokens", "9", "--output-tokens", "10", "-n", "3")
    assert run.report["lengths"]["output"]["difference"] == {"min": -6, "p50": -6, "max": -6}
    assert "answers 10.0 asked for, 4.0 found (-6 each)" in run.out


LIMITS = {
    "anthropic_messages": {"max_tokens": 7},
    "bedrock_converse": {"inferenceConfig": {"maxTokens": 7}},
    "cohere_chat": {"max_tokens": 7},
    "dashscope": {"parameters": {"max_tokens": 7}},
    "gemini": {"generationConfig": {"maxOutputTokens": 7}},
    "kserve_grpc": {
        "inputs": [
            {"name": "text_input", "datatype": "BYTES", "shape": [1], "data": ["x"]},
            {"name": "max_tokens", "datatype": "INT32", "shape": [1], "data": [7]},
        ]
    },
    "llama_cpp_completion": {"n_predict": 7, "ignore_eos": True},
    "ollama_chat": {"options": {"num_predict": 7}},
    "ollama_generate": {"options": {"num_predict": 7}},
    "openai_chat": {"max_tokens": 7, "min_tokens": 7, "ignore_eos": True},
    "openai_completions": {"max_tokens": 7, "min_tokens": 7, "ignore_eos": True},
    "openai_embeddings": {},
    "openai_images": {},
    "openai_realtime": {"response": {"max_output_tokens": 7}},
    "openai_responses": {"max_output_tokens": 7},
    "openai_speech": {},
    "openai_transcription": {},
    "rerank": {},
    "sglang_generate": {"sampling_params": {"max_new_tokens": 7, "ignore_eos": True}},
    "sglang_grpc": {"sampling_params": {"max_new_tokens": 7, "min_new_tokens": 7, "ignore_eos": True}},
    "tgi_generate": {"parameters": {"max_new_tokens": 7}},
    "triton_generate": {"max_tokens": 7},
    "vllm_batch": {"max_tokens": 7, "min_tokens": 7, "ignore_eos": True},
    "vllm_generate": {"sampling_params": {"max_tokens": 7, "min_tokens": 7, "ignore_eos": True}},
    "vllm_realtime": {},
    "vllm_grpc": {"sampling_params": {"max_tokens": 7, "min_tokens": 7, "ignore_eos": True}},
}


@pytest.mark.parametrize("name", sorted(protocols()))
def test_every_protocol_says_the_length_of_an_answer_in_its_own_words(name: str) -> None:
    protocol = load_protocol(name)
    said = protocol.answer_length(7)
    assert bool(said) == bool(LIMITS[name])
    body = json.loads(protocol.encode(ask_of(protocol, "x", "x", parameters=said)).body)
    for key, value in LIMITS[name].items():
        found = {inner: body[key][inner] for inner in value} if isinstance(value, dict) else body[key]
        assert found == value

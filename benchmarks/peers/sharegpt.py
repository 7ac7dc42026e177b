"""Prompts as ShareGPT's file has them, which some tools read without a network."""

import json
from pathlib import Path

from benchmarks.peers.adapter import Load

__all__ = ["write_conversations"]


def write_conversations(load: Load, folder: Path) -> Path:
    """Write one for each request of a load; return the file."""
    told = [{"from": "human", "value": load.prompt}, {"from": "gpt", "value": "hello " * load.tokens}]
    path = folder / "sharegpt.json"
    path.write_text(json.dumps([{"conversations": told}] * load.requests))
    return path

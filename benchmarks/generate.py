"""What `generate` of transformers costs per step when it is measured: CPU time, on a model whose steps cost little.

    .venv-models/bin/python -m benchmarks.generate      # one JSON line; the budget is 15 µs a step

criteria: the loop's own call of its stopping criteria, with ours among them and without
generate: whole calls with ours and without; of two lengths, so that what a call costs once is left out

Both take turns, and of every column the least disturbed measurement counts: what other processes do to a shared
machine only ever adds.
"""

import importlib.util
import json
import sys
import time
from typing import Any

import otel_llm
from otel_llm.instrumentation.libraries.sequences import Sequences
from otel_llm.instrumentation.libraries.steps import Steps
from otel_llm.observation import StreamObservation

STEPS = 500
SHORT, LONG = 20, 120
ROUNDS = 40
BUDGET_US = 15.0


def model() -> Any:
    import torch
    import transformers

    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = transformers.LlamaConfig(
        vocab_size=200, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=1024, bos_token_id=1, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


def criteria(steps: int = STEPS, rounds: int = ROUNDS) -> tuple[float, float]:
    """Return microseconds of CPU of one call of the loop's stopping criteria: without ours, and with it."""
    import torch
    from transformers import MaxLengthCriteria, StoppingCriteriaList

    ids = [torch.ones((1, 8 + step), dtype=torch.long) for step in range(steps)]

    def call(checked: Any) -> float:
        start = time.thread_time_ns()
        for step in ids:
            checked(step, None)
        return (time.thread_time_ns() - start) / steps / 1000

    found = []
    for _ in range(rounds):
        bare = StoppingCriteriaList([MaxLengthCriteria(10_000)])
        observation = StreamObservation(lambda _: None)
        ours = Steps(observation, Sequences(None, {"inputs": ids[0]}))
        found.append((call(bare), call(StoppingCriteriaList([*bare, ours]))))
        assert len(observation) == steps
    bare_us, ours_us = (min(column) for column in zip(*found, strict=True))
    return bare_us, ours_us


def generate(rounds: int = ROUNDS) -> tuple[float, float]:
    """Return microseconds of CPU that one more step of a whole call takes: bare, and measured."""
    import torch

    small, ids = model(), torch.ones((1, 8), dtype=torch.long)

    def call(new: int) -> float:
        start = time.thread_time_ns()
        assert small.generate(ids, max_new_tokens=new, do_sample=False).shape == (1, 8 + new)
        return (time.thread_time_ns() - start) / 1000

    found = []
    for _ in range(rounds):
        bare = call(SHORT), call(LONG)
        otel_llm.instrument(include=["transformers"])
        found.append((*bare, call(SHORT), call(LONG)))
        otel_llm.uninstrument()
    short, long, short_ours, long_ours = (min(column) for column in zip(*found, strict=True))
    return (long - short) / (LONG - SHORT), (long_ours - short_ours) / (LONG - SHORT)


def main() -> int:
    if importlib.util.find_spec("torch") is None:
        print(
            json.dumps({"benchmark": "generate", "skipped": "no torch here; .venv-models of make test-models has it"})
        )
        return 0
    added = {}
    for name, (bare, ours) in (("criteria", criteria()), ("generate", generate())):
        added[name] = {"bare_us": round(bare, 2), "measured_us": round(ours, 2), "added_us": round(ours - bare, 2)}
    print(json.dumps({"benchmark": "generate", **added, "budget_us": BUDGET_US}))
    return int(any(one["added_us"] > BUDGET_US for one in added.values()))


if __name__ == "__main__":
    sys.exit(main())

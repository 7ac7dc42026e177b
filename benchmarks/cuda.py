"""Whether the first token of transformers on a GPU is stamped when it is there: under four minutes, not run here yet.

    python -m benchmarks.cuda [MODEL]        # a name of the Hub or a folder; without one, random weights of 0.4 GB

Kernels run behind the host's back: a token that was chosen is not there yet. So the first token has two times here. The
device's is between two CUDA events, one recorded before the call and one behind the kernels of the first token; the
host's is when the token was copied, which is what a caller can see. Both are taken in the program's own streamer, or in
its own stopping criterion where nothing is streamed. Ours should be the device's and the copy: the command exits with 1
where the median is further from that of the events than TOLERANCE.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import otel_llm

ROUNDS, TOKENS, PROMPT = 10, 64, 2_000
TOLERANCE, LEAST_MS = 0.05, 1.0
"""Of the device's time, and what is allowed at least: a copy, and Python."""


class FirstToken:
    """When the first token after the prompt was there: as a streamer, and as a stopping criterion."""

    def __init__(self, event: Any) -> None:
        self.puts, self.at_s, self.event = 0, 0.0, event

    def put(self, value: Any) -> None:
        self.puts += 1
        if self.puts == 2:  # the first is the prompt
            self._arrived(value)

    def end(self) -> None:
        """Do nothing."""

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> bool:
        if not self.at_s:
            self._arrived(input_ids[:, -1])
        return False

    def _arrived(self, token: Any) -> None:
        self.event.record()  # behind the kernels that made the token, whether they have run or not
        token.cpu()
        self.at_s = time.perf_counter()


@dataclass(frozen=True)
class FirstTokenTimes:
    """Of one call, in ms: between the events of the device, until the token was on the host, and as we say."""

    device: float
    host: float
    ours: float


def load(name: str | None) -> Any:
    """Return a model on the GPU in half precision."""
    import torch
    import transformers

    if name is not None:
        return transformers.AutoModelForCausalLM.from_pretrained(name, dtype=torch.bfloat16).to("cuda").eval()
    size = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 12, "num_attention_heads": 16}
    config = transformers.LlamaConfig(vocab_size=32_000, eos_token_id=None, max_position_embeddings=4096, **size)
    return transformers.LlamaForCausalLM(config).to("cuda", torch.bfloat16).eval()


def measure(model: Any, prompt: Any, event: Callable[[], Any], *, streamed: bool) -> FirstTokenTimes:
    """Return the first token of one call. event: makes an event of the device, which tells times"""
    began, seen = event(), FirstToken(event())
    how = {"streamer": seen} if streamed else {"stopping_criteria": [seen]}
    began.record()
    began.synchronize()  # the device is idle now, and both clocks start
    began_s = time.perf_counter()
    model.generate(prompt, max_new_tokens=TOKENS, do_sample=False, **how)
    seen.event.synchronize()
    last = otel_llm.last_metrics()
    assert last is not None
    assert last.time_to_first_token is not None
    host_ms = (seen.at_s - began_s) * 1e3
    return FirstTokenTimes(began.elapsed_time(seen.event), host_ms, last.time_to_first_token * 1e3)


def lacking() -> str | None:
    """Return what this machine lacks for it; None where there is all of it."""
    try:
        import torch
        import transformers  # noqa: F401
    except ImportError as error:
        return f"expected torch and transformers, got no {error.name}; next step: pip install torch transformers"
    if not torch.cuda.is_available():
        return f"expected a GPU that torch {torch.__version__} can use, got none; next step: run it where there is one"
    return None


def main() -> int:
    if (line := lacking()) is not None:
        print(line, file=sys.stderr)
        return 2
    import torch

    otel_llm.instrument(include=["transformers"])
    model = load(sys.argv[1] if len(sys.argv) > 1 else None)
    prompt = torch.randint(1, 200, (1, PROMPT), device="cuda")
    print(f"{torch.cuda.get_device_name()}, {PROMPT} tokens in, {TOKENS} out, median of {ROUNDS} calls\n")
    print("| first token, ms | by CUDA events | on the host | as we say | ours less the events, least to most |")
    print("| --- | --- | --- | --- | --- |")
    wrong = False
    for streamed in (True, False):
        measure(model, prompt, _event, streamed=streamed)  # its own first time
        times = [measure(model, prompt, _event, streamed=streamed) for _ in range(ROUNDS)]
        device, host, ours = (median(getattr(each, name) for each in times) for name in ("device", "host", "ours"))
        off = [each.ours - each.device for each in times]
        name = "streamed" if streamed else "not streamed"
        print(f"| {name} | {device:.2f} | {host:.2f} | {ours:.2f} | {min(off):+.2f} to {max(off):+.2f} |", flush=True)
        wrong |= abs(ours - device) > max(TOLERANCE * device, LEAST_MS)
    return int(wrong)


def _event() -> Any:
    import torch

    return torch.cuda.Event(enable_timing=True)


if __name__ == "__main__":
    sys.exit(main())

"""Whether the first token of transformers on a GPU is stamped when it is there: under four minutes, not run here yet.

    python -m benchmarks.cuda [MODEL]        # a name of the Hub or a folder; without one, random weights of 0.4 GB

Kernels run behind the host's back: a token that was chosen is not there yet. Ours waits for the first token by copying
it to the host, and the reference here does the same in the program's own streamer, or in its own stopping criterion
where nothing is streamed. So both are times of the token's arrival on the host, which is what a caller can see; events
of CUDA, which are times of the device, are not needed. What is left between the two is this program's and ours.
"""

import sys
import time
from statistics import median
from typing import Any

import otel_llm

ROUNDS, TOKENS, PROMPT = 10, 64, 2_000


class FirstArrival:
    """When the first token after the prompt was on the host: as a streamer, and as a stopping criterion."""

    def __init__(self) -> None:
        self.puts, self.at_s = 0, 0.0

    def put(self, value: Any) -> None:
        self.puts += 1
        if self.puts == 2:  # the first is the prompt
            value.tolist()
            self.at_s = time.perf_counter()

    def end(self) -> None:
        """Do nothing."""

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> bool:
        if not self.at_s:
            input_ids[:, -1].cpu()
            self.at_s = time.perf_counter()
        return False


def load(name: str | None) -> Any:
    """Return a model on the GPU in half precision."""
    import torch
    import transformers

    if name is not None:
        return transformers.AutoModelForCausalLM.from_pretrained(name, dtype=torch.bfloat16).to("cuda").eval()
    size = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 12, "num_attention_heads": 16}
    config = transformers.LlamaConfig(vocab_size=32_000, eos_token_id=None, max_position_embeddings=4096, **size)
    return transformers.LlamaForCausalLM(config).to("cuda", torch.bfloat16).eval()


def measure(model: Any, prompt: Any, *, streamed: bool) -> tuple[float, float]:
    """Return the first token of one call in seconds: as the reference saw it, and as we say."""
    seen = FirstArrival()
    how = {"streamer": seen} if streamed else {"stopping_criteria": [seen]}
    began_s = time.perf_counter()
    model.generate(prompt, max_new_tokens=TOKENS, do_sample=False, **how)
    last = otel_llm.last_metrics()
    assert last is not None
    assert last.time_to_first_token is not None
    return seen.at_s - began_s, last.time_to_first_token


def main() -> int:
    try:
        import torch

        found = torch.cuda.is_available()
    except ImportError:
        found = False
    if not found:
        print("expected torch with a GPU of CUDA, got none; next step: run it where there is one", file=sys.stderr)
        return 2
    otel_llm.instrument(include=["transformers"])
    model = load(sys.argv[1] if len(sys.argv) > 1 else None)
    prompt = torch.randint(1, 200, (1, PROMPT), device="cuda")
    print(f"{torch.cuda.get_device_name()}, {PROMPT} tokens in, {TOKENS} out, median of {ROUNDS} calls\n")
    print("| first token, ms | on the host | as we say | difference, least to most |\n| --- | --- | --- | --- |")
    for streamed in (True, False):
        measure(model, prompt, streamed=streamed)  # its own first time
        pairs = [measure(model, prompt, streamed=streamed) for _ in range(ROUNDS)]
        off = [(ours - theirs) * 1e3 for theirs, ours in pairs]
        cells = (median(theirs for theirs, _ in pairs) * 1e3, median(ours for _, ours in pairs) * 1e3)
        name = "streamed" if streamed else "not streamed"
        print(f"| {name} | {cells[0]:.2f} | {cells[1]:.2f} | {min(off):+.2f} to {max(off):+.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

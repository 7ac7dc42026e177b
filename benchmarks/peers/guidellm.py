"""guidellm run."""

import json
from pathlib import Path

from benchmarks.peers.adapter import Load, Reading
from benchmarks.peers.environments import GUIDELLM

__all__ = ["Guidellm"]


class Guidellm:
    """Its "inter token latency" is one mean per request, (last - first token) / (tokens - 1): it keeps no gaps, so a
    stream that stalls and catches up looks even. Its times are in ms."""

    name, environment = "guidellm", GUIDELLM

    def command(self, load: Load, folder: Path) -> list[str]:
        prompts = folder / "prompts.jsonl"
        with prompts.open("w") as file:
            file.writelines(json.dumps({"prompt": load.prompt}) + "\n" for _ in range(load.requests))
        backend = f"kind=openai_http,target={load.url},model={load.model},max_tokens={load.tokens}"
        return [
            *GUIDELLM.script("guidellm"), "run",
            "--backend", f"{backend},request_format=/v1/chat/completions,validate_backend=false",
            "--profile", f"kind=concurrent,streams={load.streams}",
            "--constraint", f"kind=max_requests,count={load.requests}",
            "--data", f"kind=json_file,path={prompts}", "--output", f"kind=json,path={folder / 'benchmarks.json'}",
            "--disable-console-interactive",
        ]  # fmt: skip

    def read(self, folder: Path, said: str) -> Reading:
        (run,) = json.loads((folder / "benchmarks.json").read_text())["benchmarks"]
        metrics = {name: run["metrics"][name]["successful"] for name in _METRICS}
        first, gap, tokens = metrics.values()
        return Reading(
            ttft_mean=first["mean"] / 1e3,
            ttft_p99=first["percentiles"]["p99"] / 1e3,
            itl_p50=gap["percentiles"]["p50"] / 1e3,
            itl_p99=gap["percentiles"]["p99"] / 1e3,
            tokens=round(tokens["total_sum"]),
            said_late="; ".join(warning["message"].rstrip(".") for warning in run["warnings"]),
        )


_METRICS = ("time_to_first_token_ms", "inter_token_latency_ms", "output_token_count")

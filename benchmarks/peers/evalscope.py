"""evalscope perf."""

import json
from pathlib import Path

from benchmarks.peers.adapter import Load, Reading
from benchmarks.peers.environments import EVALSCOPE

__all__ = ["Evalscope"]


class Evalscope:
    """Its inter-token latency is that between events, as ours is. Its summary is in ms, latencies of it in s."""

    name, environment = "evalscope", EVALSCOPE

    def command(self, load: Load, folder: Path) -> list[str]:
        return [
            *EVALSCOPE.script("evalscope"), "perf", "--url", f"{load.url}/v1/chat/completions", "--model", load.model,
            "--api", "openai", "--stream", "--parallel", str(load.streams), "-n", str(load.requests),
            "--prompt", load.prompt, "--max-tokens", str(load.tokens), "--min-tokens", str(load.tokens),
            "--no-test-connection", "--outputs-dir", str(folder), "--no-timestamp", "--name", "run",
        ]  # fmt: skip

    def read(self, folder: Path, said: str) -> Reading:
        (summary,) = folder.glob("run/*/benchmark_summary.json")
        means = json.loads(summary.read_text())
        rows = json.loads((summary.parent / "benchmark_percentile.json").read_text())
        at = {row["Percentiles"]: row for row in rows}
        return Reading(
            ttft_mean=means["Avg TTFT (ms)"] / 1e3,
            ttft_p99=at["99%"]["TTFT (ms)"] / 1e3,
            itl_p50=at["50%"]["ITL (ms)"] / 1e3,
            itl_p99=at["99%"]["ITL (ms)"] / 1e3,
            tokens=round(means["Avg Output Tokens"] * means["Success Requests"]),
            said_late=_said(said),
        )


def _said(said: str) -> str:
    return "that the first burst dominates, without a number" if "carries the start-up burst" in said else ""

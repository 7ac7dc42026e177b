"""aiperf profile."""

import json
import re
from pathlib import Path

from benchmarks.peers.adapter import Load, Reading
from benchmarks.peers.environments import AIPERF
from benchmarks.peers.tokenizer import write_tokenizer

__all__ = ["Aiperf"]


class Aiperf:
    """What others call inter-token latency is its "inter chunk latency"; its own ITL is one mean per request. In ms."""

    name, environment = "aiperf", AIPERF

    def command(self, load: Load, folder: Path) -> list[str]:
        prompts = folder / "prompts.jsonl"
        with prompts.open("w") as file:
            file.writelines(json.dumps({"text": load.prompt}) + "\n" for _ in range(load.requests))
        return [
            *AIPERF.script("aiperf"), "profile", "--model", load.model, "--url", load.url, "--endpoint-type", "chat",
            "--streaming", "--concurrency", str(load.streams), "--request-count", str(load.requests),
            "--input-file", str(prompts), "--custom-dataset-type", "single_turn",
            "--extra-inputs", f"max_tokens:{load.tokens}", "--use-server-token-count",
            "--tokenizer", str(write_tokenizer(folder)), "--no-gpu-telemetry", "--no-server-metrics",
            "--export-level", "summary", "--ui", "none", "--artifact-dir", str(folder / "artifacts"),
        ]  # fmt: skip

    def read(self, folder: Path, said: str) -> Reading:
        report = json.loads((folder / "artifacts" / "profile_export_aiperf.json").read_text())
        first, gap = report["time_to_first_token"], report["inter_chunk_latency"]
        return Reading(
            ttft_mean=first["avg"] / 1e3,
            ttft_p99=first["p99"] / 1e3,
            itl_p50=gap["p50"] / 1e3,
            itl_p99=gap["p99"] / 1e3,
            tokens=round(report["total_usage_completion_tokens"]["avg"]),
            said_late=_said((folder / "artifacts" / "logs" / "aiperf.log").read_text()),
        )


def _said(log: str) -> str:
    late = [float(ms) for ms in re.findall(r"Event loop .* too long to run\. Overhead: ([\d.]+)ms", log)]
    return f"{len(late)} lines in its log, event loop late by up to {max(late):.0f} ms" if late else ""

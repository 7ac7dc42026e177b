"""inference-perf."""

import json
from pathlib import Path

from benchmarks.peers.adapter import Load, Reading
from benchmarks.peers.environments import INFERENCE_PERF
from benchmarks.peers.tokenizer import write_tokenizer

__all__ = ["InferencePerf"]


class InferencePerf:
    """Its prompts are its own. Its times are in seconds. How late it sent stands in its report as `schedule_delay`,
    which in a closed loop is the wait for a free stream; it says nothing of how late it received."""

    name, environment = "inference-perf", INFERENCE_PERF

    def command(self, load: Load, folder: Path) -> list[str]:
        stage = {"num_requests": load.requests, "concurrency_level": load.streams}
        settings = {
            "api": {"type": "chat", "streaming": True},
            "data": {"type": "mock"},
            "load": {"type": "concurrent", "stages": [stage], "worker_max_concurrency": load.streams},
            "server": {"type": "vllm", "model_name": load.model, "base_url": load.url},
            "tokenizer": {"pretrained_model_name_or_path": str(write_tokenizer(folder))},
            "report": {"request_lifecycle": {"per_stage": False, "use_server_output_tokens": True}},
            "storage": {"local_storage": {"path": str(folder / "reports")}},
        }
        file = folder / "settings.yaml"
        file.write_text(json.dumps(settings))  # what is JSON is YAML
        return [*INFERENCE_PERF.script("inference-perf"), "-c", str(file)]

    def read(self, folder: Path, said: str) -> Reading:
        report = json.loads((folder / "reports" / "summary_lifecycle_metrics.json").read_text())
        good = report["successes"]
        first, gap = good["latency"]["time_to_first_token"], good["latency"]["inter_token_latency"]
        return Reading(
            ttft_mean=first["mean"],
            ttft_p99=first["p99"],
            itl_p50=gap["median"],
            itl_p99=gap["p99"],
            tokens=round(good["output_len"]["mean"] * good["count"]),
        )

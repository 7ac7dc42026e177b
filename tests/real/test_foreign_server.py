"""The load generator against a model server that was written elsewhere, in each protocol that it speaks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from otel_llm.sinks.stored_run import read_records
from tools.services import InferenceSim

PATHS = {
    "openai_chat": ("/v1/chat/completions", ["max_tokens=20", "ignore_eos=true"]),
    "openai_completions": ("/v1/completions", ["max_tokens=20", "ignore_eos=true"]),
    "openai_responses": ("/v1/responses", ["max_output_tokens=20", "ignore_eos=true"]),
    "anthropic_messages": ("/v1/messages", ["max_tokens=20", "ignore_eos=true"]),
}


@pytest.mark.parametrize("protocol", PATHS)
def test_its_own_pace_is_measured(protocol: str, inference_sim: InferenceSim, tmp_path: Path) -> None:
    path, parameters = PATHS[protocol]
    words = ["--model", inference_sim.model, "--prompt", "Say something long.", "-n", "6", "--parallel", "2"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "otel_llm.cli", "perf", "--url", f"{inference_sim.url}{path}", *words),
            *("--parameters", *parameters, "--json", "report.json", "--name", "run.db"),
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    measures = report["measures"]
    assert report["requests"]["succeeded"] == 6
    assert report["tokens"]["source"] == "provider"
    # it sleeps so long, and on a busy machine longer: the best of them is never less, and not much more
    assert 0.098 < measures["time_to_first_token"]["min"] < 0.150
    assert 0.0195 < measures["time_per_output_token"]["min"] < 0.030
    for record in read_records(tmp_path / "run.db"):
        assert record.finish_reasons
        assert (record.output_tokens or 0) > 1

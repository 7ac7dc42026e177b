"""`otel-llm plugins`"""

import subprocess
import sys
from pathlib import Path

from otel_llm.entry_points import installed


def plugins(path: Path | None = None) -> "subprocess.CompletedProcess[str]":
    more = () if path is None else (f"import sys; sys.path.insert(0, {str(path)!r})",)
    code = "; ".join((*more, "from otel_llm.cli import main", "raise SystemExit(main(['plugins']))"))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_line_for_each_plugin_of_each_group_whole_where_there_is_no_terminal() -> None:
    done = plugins()
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.rstrip() for line in done.stdout.splitlines()[1:]]
    for kind, group in (
        ("protocol", "otel_llm.protocols"),
        ("dataset", "otel_llm.datasets"),
        ("adapter", "otel_llm.adapters"),
    ):
        rows = [line.split()[1:3] for line in lines if line.startswith(f"{kind} ")]
        assert rows == [[name, point.value] for name, point in installed(group).items()]
        assert rows
    assert any(line.endswith("sse, /text-generation/generation, /multimodal-generation/generation") for line in lines)
    notes = {line.split()[1]: " ".join(line.split()[3:]) for line in lines}
    assert notes["kserve_grpc"].startswith("grpc, ")
    assert notes["rerank"] == "json, /v2/rerank, /rerank"
    assert notes["ollama_chat"] == "ndjson, /api/chat"
    assert notes["litellm"].startswith("litellm.completion, litellm.acompletion, ")
    assert notes["groq"] == "Completions.create, AsyncCompletions.create, Embeddings.create, AsyncEmbeddings.create"


def test_an_adapter_that_fails_is_told_of(tmp_path: Path) -> None:
    info = tmp_path / "failing-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: failing\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[otel_llm.adapters]\nfailing = failing_adapter:targets\n")
    (tmp_path / "failing_adapter.py").write_text("def targets(settings):\n    return [settings.nothing]\n")
    done = plugins(tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    (line,) = [line for line in done.stdout.splitlines() if line.split()[:2] == ["adapter", "failing"]]
    assert 'expected adapter failing to say what it measures, got "AttributeError: ' in line


def test_a_plugin_that_does_not_import_is_told_of_and_is_exit_code_1(tmp_path: Path) -> None:
    info = tmp_path / "broken-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[otel_llm.adapters]\nbroken = no_such_module[extra]:targets\n")
    done = plugins(tmp_path)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.split()[:2] == ["adapter", "broken"]]
    assert "expected plugin broken (no_such_module[extra]:targets) to import" in line

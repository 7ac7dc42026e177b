"""`otel-llm plugins`"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from otel_llm.entry_points import installed


def plugins(path: Path | None = None) -> "subprocess.CompletedProcess[str]":
    more = () if path is None else (f"import sys; sys.path.insert(0, {str(path)!r})",)
    code = "; ".join((*more, "from otel_llm.cli import main", "raise SystemExit(main(['plugins']))"))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_line_for_each_plugin_of_each_group_whole_where_there_is_no_terminal() -> None:
    done = plugins()
    assert (done.returncode, done.stderr) == (0, "")
    blocks = re.split(r"(?m)^(?=\S)", done.stdout)[1:]
    notes: dict[str, str] = {}
    for block, (title, group) in zip(
        blocks,
        (
            ("protocols, for --protocol", "otel_llm.protocols"),
            ("dataset formats, for --dataset-format", "otel_llm.datasets"),
            ("libraries, for instrument() and otel-llm run", "otel_llm.adapters"),
        ),
        strict=True,
    ):
        first, *lines = block.splitlines()
        assert first.rstrip() == title
        rows = dict(line.split(None, 1) for line in lines)
        assert list(rows) == list(installed(group))
        assert not [line for line in lines if line.endswith(" ")]
        notes |= rows
    assert notes["dashscope"] == "sse, /text-generation/generation, /multimodal-generation/generation"
    assert notes["kserve_grpc"].startswith("grpc, ")
    assert notes["rerank"] == "json, /v2/rerank, /rerank"
    assert notes["ollama_chat"] == "ndjson, /api/chat"
    assert notes["litellm"].startswith("litellm: completion, acompletion, text_completion, ")
    assert notes["langchain_core"].endswith("BaseLLM: invoke, ainvoke, generate, agenerate, stream, astream")
    assert notes["bedrock"] == "BaseClient: _make_api_call"
    assert notes["groq"] == "Completions: create; AsyncCompletions: create; Embeddings: create; AsyncEmbeddings: create"


def test_a_package_that_brings_a_plugin_is_named(tmp_path: Path) -> None:
    info = tmp_path / "theirs-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[otel_llm.datasets]\ntheirs = their_prompts:prompts\n")
    (tmp_path / "their_prompts.py").write_text('def prompts(path):\n    """Yield theirs."""\n')
    done = plugins(tmp_path)
    assert done.returncode == 0
    assert "  theirs            Yield theirs. (from theirs 1.2)" in [line.rstrip() for line in done.stdout.splitlines()]


def test_a_package_that_is_installed_meanwhile_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    assert "theirs" not in installed("otel_llm.datasets")
    info = tmp_path / "theirs-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[otel_llm.datasets]\ntheirs = their_prompts:prompts\n")
    assert installed("otel_llm.datasets")["theirs"].value == "their_prompts:prompts"


def test_an_adapter_that_fails_is_told_of(tmp_path: Path) -> None:
    info = tmp_path / "failing-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: failing\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[otel_llm.adapters]\nfailing = failing_adapter:targets\n")
    (tmp_path / "failing_adapter.py").write_text("def targets(settings):\n    return [settings.nothing]\n")
    done = plugins(tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    (line,) = [line for line in done.stdout.splitlines() if line.split()[:1] == ["failing"]]
    assert 'expected adapter failing to say what it measures, got "AttributeError: ' in line


def test_a_plugin_that_does_not_import_is_told_of_and_is_exit_code_1(tmp_path: Path) -> None:
    info = tmp_path / "broken-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[otel_llm.adapters]\nbroken = no_such_module[extra]:targets\n")
    done = plugins(tmp_path)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.split()[:1] == ["broken"]]
    assert "expected plugin broken (no_such_module[extra]:targets) to import" in line

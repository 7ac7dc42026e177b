"""Tokenizers from disk: a tiny one is trained on the spot, the network is never asked. (S4.19)"""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, processors, trainers

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.tokenizers import load_tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder whose tokenizer splits at white space and puts <s> in front of every text."""
    tiny = tokenizers.Tokenizer(models.WordLevel(unk_token="<unk>"))
    tiny.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]  # as its documentation does
    words = trainers.WordLevelTrainer(special_tokens=["<unk>", "<s>"])
    tiny.train_from_iterator(["the river and the stone"], words)
    tiny.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])  # type: ignore[assignment]
    tiny.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_tokens_are_counted_without_those_a_template_adds(folder: Path) -> None:
    for path in (folder, str(folder), folder / "tokenizer.json"):
        counter = load_tokenizer(path)
        assert counter.count("the river and the stone") == 5
        assert counter.count("") == 0


def test_a_folder_without_tokenizer_json_is_read_by_transformers_and_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, object]] = []

    def from_pretrained(path: str, **options: object) -> SimpleNamespace:
        asked.append((path, options))
        return SimpleNamespace(
            encode=lambda text, **options: [1] * (len(text) + bool(options.get("add_special_tokens")))
        )

    double = ModuleType("transformers")
    double.AutoTokenizer = SimpleNamespace(from_pretrained=from_pretrained)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "transformers", double)
    assert load_tokenizer(tmp_path).count("abc") == 3
    assert asked == [(str(tmp_path), {"local_files_only": True})]


@pytest.mark.parametrize("package", ["tokenizers", "transformers"])
def test_a_missing_package_is_one_line_with_the_next_step(
    folder: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    if package == "transformers":
        (folder / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match=rf"got 'no package {package}'; pip install 'otel-llm\[models\]'") as error:
        load_tokenizer(folder)
    assert "\n" not in str(error.value)


def test_what_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected a tokenizer.json or a folder of model files, got .*nowhere"):
        load_tokenizer(tmp_path / "nowhere")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(
        ConfigError, match=r"expected a tokenizer in .*tokenizer.json, got .*; give the path of a tokenizer.json"
    ):
        load_tokenizer(tmp_path)

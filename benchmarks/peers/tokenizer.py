"""The least that loads as a tokenizer: some tools do not start without one, and none here is to need a network."""

import json
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

__all__ = ["write_tokenizer"]


def write_tokenizer(folder: Path) -> Path:
    """Write one that takes each word for a token; return its folder."""
    target = folder / "tokenizer"
    target.mkdir(exist_ok=True)
    words = Tokenizer(models.WordLevel({"<unk>": 0, "hello": 1, "tok": 2}, unk_token="<unk>"))  # noqa: S106
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(target / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>"}
    (target / "tokenizer_config.json").write_text(json.dumps(settings))
    return target

"""Tokenizers of the three kinds that models have, trained on the spot."""

from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from otel_llm.load.prompts.words import WORDS

TEXT = [" ".join([word, *WORDS]) for word in WORDS]


def byte_level(path: Path, size: int = 2000) -> Path:
    """Write one as of GPT, Llama 3 and Qwen: merged bytes, a space belongs to the word behind it."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    once = [each for word in WORDS for each in (word, f" {word}")]
    made.train_from_iterator([*TEXT, *once * 3], trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet))  # type: ignore[arg-type]
    made.save(str(path))
    return path


def metaspace(path: Path) -> Path:
    """Write one as of Llama 2, Mistral and Gemma: merged characters, a mark for each space and before the text."""
    made = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()  # type: ignore[assignment]
    made.decoder = decoders.Metaspace()  # type: ignore[assignment]
    made.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=2000, special_tokens=["<unk>"]))  # type: ignore[arg-type]
    made.save(str(path))
    return path


def bytes_alone(path: Path) -> Path:
    """Write one as of ByT5: each byte is a token, so that no word is one."""
    return byte_level(path, size=256)

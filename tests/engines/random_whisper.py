"""A random Whisper of a million parameters with its tokenizer and feature extractor, made in seconds.

    python random_whisper.py FOLDER

Run by the Python of an engine's environment, which has transformers. What it writes down are words of plain ASCII, of
whatever it hears, and it never ends by itself.
"""

import json
import random
import sys
from pathlib import Path

WIDTH, LAYERS, HEADS, VOCABULARY = 128, 2, 4, 512
WORDS = ["a", "model", "server", "hears", "one", "token", "after", "another", "until", "it", "stops"]


def write(folder: Path) -> None:
    """Write what `from_pretrained` reads; 5 MB."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import (
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
    )
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    drawn = random.Random(0)
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.train_from_iterator(
        [" ".join(drawn.choices(WORDS, k=12)) for _ in range(4000)],
        trainers.BpeTrainer(
            vocab_size=VOCABULARY, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
    )
    learned = json.loads(trained.to_str())["model"]
    tokenizer = WhisperTokenizer(vocab=learned["vocab"], merges=[tuple(pair) for pair in learned["merges"]])
    tasks = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    special = [f"<|{name}|>" for name in ("endoftext", "startoftranscript", *LANGUAGES, *tasks)]
    tokenizer.add_special_tokens({"additional_special_tokens": special})
    end, start = tokenizer.convert_tokens_to_ids(special[:2])
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=len(tokenizer), d_model=WIDTH, encoder_layers=LAYERS, decoder_layers=LAYERS,
            encoder_attention_heads=HEADS, decoder_attention_heads=HEADS, encoder_ffn_dim=4 * WIDTH,
            decoder_ffn_dim=4 * WIDTH, bos_token_id=end, eos_token_id=end, pad_token_id=end,
            decoder_start_token_id=start, suppress_tokens=None, begin_suppress_tokens=None,
        )
    ).to(torch.bfloat16)  # fmt: skip
    with torch.no_grad():
        table = torch.randn(len(tokenizer), WIDTH)  # of what goes in and of what comes out
        for token in range(len(tokenizer)):
            text = tokenizer.decode([token])
            if tokenizer.convert_ids_to_tokens(token) in special or not (text.isascii() and text.isprintable()):
                table[token] = 0  # never the likeliest
        model.model.decoder.embed_tokens.weight.copy_(table.to(torch.bfloat16))
    model.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(), tokenizer).save_pretrained(folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]))

"""Two random Berts of 0.1 million parameters with their tokenizer, made in seconds: one embeds, one ranks.

    python random_bert.py FOLDER

Run by the Python of an engine's environment, which has transformers. A word of WORDS is one token.
"""

import sys
from pathlib import Path

WIDTH, LAYERS, HEADS, CONTEXT = 64, 2, 4, 64
WORDS = ["a", "after", "another", "document", "last", "one", "query", "the", "token"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write(folder: Path) -> None:
    """Write what `from_pretrained` reads, to `folder`/embedder and `folder`/ranker."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizerFast

    torch.manual_seed(0)
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(SPECIAL + WORDS) + "\n")
    tokenizer = BertTokenizerFast(str(vocabulary), model_max_length=CONTEXT)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, max_position_embeddings=CONTEXT, num_labels=1,
    )  # fmt: skip
    for name, kind in (("embedder", BertModel), ("ranker", BertForSequenceClassification)):
        kind(config).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)


if __name__ == "__main__":
    write(Path(sys.argv[1]))

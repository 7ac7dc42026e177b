"""A tiny random Llama as a GGUF file: 130 thousand parameters, half a megabyte, made in a moment.

    python tiny_gguf.py FILE

writes one that takes some milliseconds a token, by a Python that has gguf: 17 million parameters, 69 MB.
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Size(NamedTuple):
    width: int = 64
    hidden: int = 128
    layers: int = 2
    heads: int = 4


SLOWER = Size(width=512, hidden=1536, layers=5, heads=8)
CONTEXT = 2048
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "says", "nothing", "of", "note"]
UNKNOWN, CONTROL, BYTE, NORMAL = 2, 3, 6, 1  # kinds of token in the format
SPECIAL = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{value:02X}>" for value in range(256)]


def write(path: Path, size: Size = Size()) -> None:  # noqa: B008  # it cannot be changed
    """Write the model. Its greedy answers are words, one per token, and go on until they are cut."""
    import gguf

    tokens = [*SPECIAL, *BYTES, *(f"\u2581{word}" for word in WORDS)]
    kinds = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * len(BYTES), *[NORMAL] * len(WORDS)]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(size.width)
    writer.add_feed_forward_length(size.hidden)
    writer.add_block_count(size.layers)
    writer.add_head_count(size.heads)
    writer.add_head_count_kv(size.heads)
    writer.add_rope_dimension_count(size.width // size.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, values in weights(len(tokens), size).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def weights(vocabulary: int, size: Size) -> dict[str, Any]:
    """Random ones, but for the rows that would answer with a byte or an end: these are never the likeliest."""
    random = np.random.default_rng(0)

    def drawn(*shape: int) -> Any:
        return random.standard_normal(shape).astype(np.float32) * np.float32(0.05)

    output = drawn(vocabulary, size.width)
    output[: len(SPECIAL) + len(BYTES)] = 0
    found = {
        "token_embd.weight": drawn(vocabulary, size.width),
        "output_norm.weight": np.ones(size.width, np.float32),
        "output.weight": output,
    }
    for layer in range(size.layers):
        for name in ("attn_norm", "ffn_norm"):
            found[f"blk.{layer}.{name}.weight"] = np.ones(size.width, np.float32)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            found[f"blk.{layer}.{name}.weight"] = drawn(size.width, size.width)
        for name in ("ffn_gate", "ffn_up"):
            found[f"blk.{layer}.{name}.weight"] = drawn(size.hidden, size.width)
        found[f"blk.{layer}.ffn_down.weight"] = drawn(size.width, size.hidden)
    return found


if __name__ == "__main__":
    write(Path(sys.argv[1]), SLOWER)

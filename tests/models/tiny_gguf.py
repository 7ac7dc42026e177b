"""A tiny random Llama as a GGUF file: 130 thousand parameters, half a megabyte, made in a moment."""

from pathlib import Path
from typing import Any

import numpy as np

WIDTH, HIDDEN, LAYERS, HEADS, CONTEXT = 64, 128, 2, 4, 2048
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "says", "nothing", "of", "note"]
UNKNOWN, CONTROL, BYTE, NORMAL = 2, 3, 6, 1  # kinds of token in the format
SPECIAL = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{value:02X}>" for value in range(256)]


def write(path: Path) -> None:
    """Write the model. Its greedy answers are words, one per token, and go on until they are cut."""
    import gguf

    tokens = [*SPECIAL, *BYTES, *(f"\u2581{word}" for word in WORDS)]
    kinds = [UNKNOWN, CONTROL, CONTROL, *[BYTE] * len(BYTES), *[NORMAL] * len(WORDS)]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, values in weights(len(tokens)).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def weights(vocabulary: int) -> dict[str, Any]:
    """Random ones, but for the rows that would answer with a byte or an end: these are never the likeliest."""
    random = np.random.default_rng(0)

    def drawn(*shape: int) -> Any:
        return random.standard_normal(shape).astype(np.float32) * np.float32(0.05)

    output = drawn(vocabulary, WIDTH)
    output[: len(SPECIAL) + len(BYTES)] = 0
    found = {
        "token_embd.weight": drawn(vocabulary, WIDTH),
        "output_norm.weight": np.ones(WIDTH, np.float32),
        "output.weight": output,
    }
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            found[f"blk.{layer}.{name}.weight"] = np.ones(WIDTH, np.float32)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            found[f"blk.{layer}.{name}.weight"] = drawn(WIDTH, WIDTH)
        for name in ("ffn_gate", "ffn_up"):
            found[f"blk.{layer}.{name}.weight"] = drawn(HIDDEN, WIDTH)
        found[f"blk.{layer}.ffn_down.weight"] = drawn(WIDTH, HIDDEN)
    return found

"""A random Llama of 114 million parameters and its tokenizer, made in seconds: about 10 ms a token on a CPU.

    python random_llama.py FOLDER

Run by the Python of an engine's environment, which has transformers. Its answers are words of plain ASCII and never end
by themselves. A much smaller model answers faster than its own server can send, and shows nothing but that.
"""

import random
import sys
from pathlib import Path

WIDTH, HIDDEN, LAYERS, HEADS, CONTEXT, VOCABULARY = 768, 3072, 12, 12, 4096, 512
SPECIAL = ["<s>", "</s>", "<pad>", "<|user|>", "<|assistant|>", "<|system|>"]
WORDS = ["a", "model", "server", "sends", "one", "token", "after", "another", "until", "it", "stops"]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def write(folder: Path) -> None:
    """Write what `from_pretrained` reads; 220 MB."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    drawn = random.Random(0)
    texts = [" ".join(drawn.choices(WORDS, k=12)) + drawn.choice(".!?") for _ in range(4000)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
        ),
    )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=SPECIAL[0], eos_token=SPECIAL[1], pad_token=SPECIAL[2]
    )
    wrapped.chat_template = TEMPLATE
    wrapped.save_pretrained(folder)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(wrapped), hidden_size=WIDTH, intermediate_size=HIDDEN, num_hidden_layers=LAYERS,
            num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=CONTEXT,
            bos_token_id=0, eos_token_id=1, pad_token_id=2, tie_word_embeddings=False,
        )
    ).to(torch.bfloat16)  # fmt: skip
    with torch.no_grad():
        output = torch.randn(len(wrapped), WIDTH) * 8 / WIDTH**0.5
        for token in range(len(wrapped)):
            text = tokenizer.decoder.decode([wrapped.convert_ids_to_tokens(token)])
            if token < len(SPECIAL) or not (text.isascii() and text.isprintable()):
                output[token] = 0  # never the likeliest
        model.lm_head.weight.copy_(output.to(torch.bfloat16))
    model.save_pretrained(folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]))

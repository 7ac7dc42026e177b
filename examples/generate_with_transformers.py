"""`generate` of transformers, streamed to nobody and measured all the same: first token, pace, exact token counts.

`python generate_with_transformers.py [MODEL]`: a name of the Hugging Face Hub or a folder. Without one a tiny model of
random weights is made on the spot, so that it runs without a download.
"""

import sys

import torch
import transformers

import otel_llm

otel_llm.configure(show=True)
otel_llm.instrument(include=["transformers"])

if len(sys.argv) > 1:
    tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
    model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1])
    prompt = tokenizer("The sky is blue because", return_tensors="pt").input_ids
else:
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=200, eos_token_id=None, **size))
    prompt = torch.tensor([[1, 2, 3, 4]])

model.generate(prompt, max_new_tokens=20, do_sample=False)
print(otel_llm.last_metrics())

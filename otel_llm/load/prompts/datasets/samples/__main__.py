"""Write the sample sets anew, beside this file."""

from pathlib import Path

from otel_llm.load.prompts.datasets.samples import contents

for name, text in contents().items():
    (Path(__file__).parent / name).write_text(text, encoding="utf-8", newline="\n")

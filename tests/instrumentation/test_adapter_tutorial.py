"""The adapter that the page shows, found and used as the page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "libraries.md").read_text()

LIBRARY = """
class Client:
    host = "tiny.example"
    def ask(self, question, engine):
        return {"words": question.split(), "spent": 7}
    def tell(self, question):
        yield {"word": ""}
        for word in question.split():
            yield {"word": word}
        yield {"spent": 5}
"""

APP = """
import otel_llm
otel_llm.instrument()
from tinyllm.client import Client
Client().ask("a b", "e1")
print(otel_llm.last_metrics().model, otel_llm.last_metrics().output_tokens)
list(Client().tell("a b"))
metrics = otel_llm.last_metrics()
print(metrics.output_tokens, metrics.token_source, metrics.time_to_first_token > metrics.time_to_first_chunk)
"""


def test_the_adapter_of_the_page(tmp_path: Path) -> None:
    (adapter,) = [block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "tinyllm" in block]
    (declared,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "tinyllm").mkdir()
    (tmp_path / "tinyllm" / "__init__.py").touch()
    (tmp_path / "tinyllm" / "client.py").write_text(LIBRARY)
    (tmp_path / "my_adapter.py").write_text(adapter)
    info = tmp_path / "my_adapter-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-adapter\nVersion: 1.0\n")
    name, value = re.findall(r'(\w+) = "(.*)"', declared)[0]
    (info / "entry_points.txt").write_text(f"[otel_llm.adapters]\n{name} = {value}\n")
    done = subprocess.run(
        [sys.executable, "-c", APP],
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["e1 7", "5 provider True"]


def test_every_adapter_is_in_the_table() -> None:
    from otel_llm.entry_points import installed
    from otel_llm.instrumentation.libraries.measuring import ADAPTERS

    assert len(installed(ADAPTERS)) >= 5
    for name in installed(ADAPTERS):
        assert f"| `{name}` |" in PAGE

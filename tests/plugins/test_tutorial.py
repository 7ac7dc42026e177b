"""The plugins of the documentation, as a third party would ship them: the code there is the code that runs here."""

import re
import sys
import textwrap
from pathlib import Path

import pytest

from otel_llm.load.prompts.datasets import open_dataset
from otel_llm.record import TEXT
from otel_llm.wire.discovery import load_protocol, protocol_for_path, protocols
from otel_llm.wire.protocol import NOTHING, Ask
from otel_llm.wire.sse import Sse
from tests.plugins.test_conformance import NO_EVENTS

DOCS = Path(__file__).parents[2] / "docs"


def ship(folder: Path, page: str) -> None:
    """Put the module and the entry point of a page where an installer would put them."""
    text = (DOCS / page).read_text("utf-8")
    (module,) = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", text, re.DOTALL)
    (project,) = re.findall(r"```toml\n# pyproject\.toml\n(.*?)```", text, re.DOTALL)
    (group, points) = re.findall(r'\[project\.entry-points\."(.+)"\]\n(.*)', project, re.DOTALL)[0]
    (folder / module[0]).write_text(module[1], encoding="utf-8")
    info = folder / "third_party-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{points.replace(chr(34), '')}")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_protocol_of_the_tutorial_is_found_and_speaks(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ship(site, "protocols.md")
    echo = load_protocol("echo")
    monkeypatch.delitem(sys.modules, "echo_protocol", raising=False)
    assert protocol_for_path("/v1/echo").name == "echo"
    wire = echo.encode(Ask(model="m", messages=[{"role": "user", "content": "Hi"}], parameters={"loud": True}))
    assert wire.body == b'{"say":"Hi","stream":true,"loud":true}'
    answer = echo()
    events = Sse().feed(b'data: {"word": "Hi"}\n\ndata: {"end": true}\n\n')
    assert [answer.decode(event) for event in events] == [(TEXT, "Hi", 0), NOTHING]
    assert answer.said.finish_reasons == ("stop",)
    for event in NO_EVENTS:
        with pytest.raises(ValueError, match=r".+"):
            answer.decode(event)


def test_the_plugin_of_the_tutorial_has_ten_lines() -> None:
    (code,) = re.findall(r"class Echo.*?(?=```)", (DOCS / "protocols.md").read_text("utf-8"), re.DOTALL)
    assert len([line for line in textwrap.dedent(code).splitlines() if line.strip()]) <= 10


def test_the_dataset_of_the_tutorial_is_found_and_read(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ship(site, "datasets.md")
    made = list(open_dataset("haiku", seed=4, options={"topic": "rain"}))
    monkeypatch.delitem(sys.modules, "haiku_dataset", raising=False)
    assert made == [f"Haiku number {number} about rain, please." for number in (4, 5, 6)]


def test_every_protocol_is_in_the_documentation() -> None:
    text = (DOCS / "protocols.md").read_text("utf-8")
    missing = [name for name in protocols() if f"| `{name}` |" not in text]
    assert missing == [], "next step: their rows in docs/protocols.md"

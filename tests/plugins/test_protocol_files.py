"""A protocol that is a file: a template says what a plugin says, and what is wrong with a file is one clear line."""

import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from otel_llm.errors import ConfigError, OtelLLMError
from otel_llm.record import OTHER, PADDING, TEXT
from otel_llm.sim import Behaviour, SimServer
from otel_llm.wire.protocol import Ask
from otel_llm.wire.protocol_files import find_protocol
from tests.load.conftest import perf  # noqa: F401  # a fixture
from tests.plugins.test_conformance import CASES, FRAMERS, SAID

TEMPLATES = Path(__file__).parent / "templates"
PAGE = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text("utf-8")
BEYOND = {"openai_chat/tool", "openai_chat/reasoning", "sglang_generate/choices", "sglang_generate/whole_list"}
"""What a template has no words for: parts of many forms, and choices that grow apart."""

each_case = pytest.mark.parametrize(
    "folder",
    [
        pytest.param(folder, id=f"{template.stem}/{folder.name}")
        for template in sorted(TEMPLATES.glob("*.toml"))
        for folder in sorted((CASES / template.stem).glob("*/"))
        if f"{template.stem}/{folder.name}" not in BEYOND
    ],
)


def everything_said(name: str, wire: Path) -> tuple[list[Any], dict[str, Any]]:
    """Return what each event brought, nothing for one without content, and what the answer says of itself."""
    answer, framer = find_protocol(name)(), FRAMERS[wire.suffix]()
    events = [*framer.feed(wire.read_bytes()), *framer.end()]
    deltas = [answer.decode(event) for event in events]
    brought = [() if delta and delta[0] in (PADDING, OTHER) else delta for delta in deltas]
    if wire.suffix == ".json":  # in one piece: how many tokens the event brought says nothing
        brought = [delta and delta[:2] for delta in brought]
    return brought, {"done": answer.done, **{name: getattr(answer.said, name) for name in SAID}}


@each_case
def test_a_template_says_everything_that_the_plugin_says(folder: Path) -> None:
    (wire,) = folder.glob("wire.*")
    plugin, template = folder.parent.name, str(TEMPLATES / f"{folder.parent.name}.toml")
    assert everything_said(template, wire) == everything_said(plugin, wire)


@pytest.mark.parametrize("name", [path.stem for path in sorted(TEMPLATES.glob("*.toml"))])
@pytest.mark.parametrize("stream", [True, False])
def test_a_template_asks_as_the_plugin_asks(name: str, stream: bool) -> None:
    parameters = {"max_new_tokens": 4} if name == "sglang_generate" else {"temperature": 0.5}
    ask = Ask(model="m", messages=[{"role": "user", "content": "hi"}], stream=stream, parameters=parameters)
    sent, plugin = (
        json.loads(find_protocol(each).encode(ask).body) for each in (str(TEMPLATES / f"{name}.toml"), name)
    )
    if not stream:
        sent.pop("stream_options", None)  # one body serves both
    assert sent == plugin


def write(folder: Path, text: str, name: str = "house.toml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


BODY = '[body]\nq = "{prompt}"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "house.toml to describe a protocol"),
        (BODY, "missing required field `answer`"),
        (BODY + '[answer]\ntxt = "a"', "unknown field `txt` - at `$.answer`"),
        (BODY + "[answer]\nfinish = 'a'", "missing required field `text` - at `$.answer`"),
        ('framing = "csv"\n' + BODY + '[answer]\ntext = "a"', "Invalid enum value 'csv' - at `$.framing`"),
        (BODY + '[answer]\ntext = "a..b"', "text in [answer] of"),
        ('[body]\nq = "hello"\n[answer]\ntext = "a"', "{prompt} or {messages} somewhere in [body]"),
        ('authorization = "{}"\n' + BODY + '[answer]\ntext = "a"', "authorization of"),
        ('parameters = "q"\n' + BODY + '[answer]\ntext = "a"', "parameters of"),
    ],
)
def test_what_is_wrong_with_a_template_is_one_line_with_file_key_and_remedy(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=r"^[^\n]+$") as raised:
        find_protocol(write(tmp_path, text))
    assert words in str(raised.value)
    assert "house.toml" in str(raised.value)
    assert "docs/protocols.md" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("none.py", "x = 1", "one subclass of otel_llm.wire.protocol.Protocol"),
        ("broken.py", "1 +", "to import"),
        ("half.py", "from otel_llm.wire.protocol import Protocol\nclass P(Protocol): pass", "to define encode"),
    ],
)
def test_what_is_wrong_with_a_file_of_python_is_one_line(tmp_path: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(OtelLLMError, match=r"^[^\n]+$") as raised:
        find_protocol(write(tmp_path, text, name))
    assert words in str(raised.value)
    assert name in str(raised.value)


def test_a_file_that_is_not_there() -> None:
    for name in ("missing.toml", "missing.py"):
        with pytest.raises(ConfigError, match=rf"a file after --protocol.*{name}"):
            find_protocol(name)


def test_a_name_that_no_protocol_has_is_answered_with_one_like_it() -> None:
    with pytest.raises(ConfigError, match=r"got 'openai_cht'; did you mean openai_chat\?$"):
        find_protocol("openai_cht")
    with pytest.raises(ConfigError, match=r"got 'zzz'; see what is installed: `otel-llm plugins`$"):
        find_protocol("zzz")


def test_placeholders_are_values_where_they_stand_alone_and_text_where_they_do_not(tmp_path: Path) -> None:
    text = '[body]\nall = ["{messages}", "{stream}", 1]\nq = "Q: {prompt} ({model})"\n[body.more]\nk = "v"\n'
    top = 'parameters = "more.inner"\nmax_tokens = "n"\n'
    protocol = find_protocol(write(tmp_path, top + text + '[answer]\ntext = "a"'))
    messages = [{"role": "user", "content": "is {model} in here?"}]
    ask = Ask(model="m", messages=messages, parameters={**protocol.answer_length(1), "none": None})
    assert json.loads(protocol.encode(ask).body) == {
        "all": [messages, True, 1],
        "q": "Q: is {model} in here? (m)",
        "more": {"k": "v", "inner": {"n": 1}},
    }


def test_half_a_character_loses_no_event_and_nonsense_is_refused(tmp_path: Path) -> None:
    answer = find_protocol(write(tmp_path, BODY + '[answer]\ntext = "a"'))()
    assert answer.decode(b'{"a": "x\\ud83d"}') == (TEXT, "x\ufffd", 0)
    assert answer.said.flags == ("malformed",)
    for event in (b"{", b"", b"1", b'"text"', b"[]", b"<html>"):
        with pytest.raises(ValueError, match=r".+"):
            answer.decode(event)


def test_a_protocol_of_a_file_goes_to_another_process(tmp_path: Path) -> None:
    for name in ("openai_chat.toml", "ollama_generate.toml"):
        sent = pickle.loads(pickle.dumps(find_protocol(str(TEMPLATES / name))))  # noqa: S301  # our own bytes
        assert (sent.name, sent.framing) == (name.removesuffix(".toml"), "ndjson" if "ollama" in name else "sse")


def test_perf_measures_with_the_template_and_the_plugin_of_the_page(perf: Any, tmp_path: Path) -> None:  # noqa: F811
    """The worked examples of docs/protocols.md, and the template of a real protocol against the simulated server."""
    with SimServer(Behaviour(ttft_ms=20, itl_ms=2, tokens=7)) as sim:
        run = perf(
            "--url", sim.url, "--protocol", str(TEMPLATES / "sglang_generate.toml"),
            "--model", "m", "--prompt", "hi", "-n", "4", "--parallel", "2",
        )  # fmt: skip
    assert run.code == 0, run.err
    measures = run.report["measures"]
    assert (measures["output_tokens"]["mean"], measures["inter_token_latency"]["count"]) == (7, 4 * 6)
    (example,) = re.findall(r"```toml\n# house\.toml\n(.*?)```", PAGE, re.DOTALL)
    answer = find_protocol(write(tmp_path, example))()
    deltas = [answer.decode(e) for e in (b'{"word": "Hi"}', b'{"word": "!", "why": "done", "counts": {"made": 2}}')]
    assert deltas == [(TEXT, "Hi", 0), (TEXT, "!", 2)]
    assert (answer.said.finish_reasons, answer.said.output_tokens) == (("done",), 2)
    (module,) = re.findall(r"```python\n# echo_protocol\.py\n(.*?)```", PAGE, re.DOTALL)
    assert find_protocol(write(tmp_path, module, "echo_protocol.py")).name == "echo"


def test_a_template_of_whole_answers_asks_for_no_stream(perf: Any, tmp_path: Path) -> None:  # noqa: F811
    text = 'path = "/v1/completions"\nframing = "json"\n[body]\nprompt = "{prompt}"\nstream = "{stream}"\n[answer]\n'
    text += 'text = "choices[].text"\nfinish = "choices[].finish_reason"\noutput_tokens = "usage.completion_tokens"'
    with SimServer(Behaviour(ttft_ms=5, tokens=3)) as sim:
        run = perf("--url", sim.url, "--protocol", write(tmp_path, text), "--model", "m", "--prompt", "hi")
    assert run.code == 0, run.err
    measures = run.report["measures"]
    assert (measures["time_to_first_token"]["count"], measures["request_latency"]["count"]) == (0, 1)
    assert measures["output_tokens"]["mean"] == 3
    assert "whole_answer" not in json.dumps(run.report)

"""The parsers of the `llmuses perf` guide: five by name, any by file, its DashScope example. (S4.16, S4.20-24)"""

import importlib
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from otel_llm.errors import ConfigError, PluginError
from otel_llm.load.prompts.parsers import Source, open_parser
from otel_llm.load.prompts.parsers.base import PerfPluginBase
from otel_llm.load.prompts.parsers.named import NAMED
from otel_llm.wire.discovery import load_protocol
from otel_llm.wire.ndjson import Whole
from otel_llm.wire.sse import Sse

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs"
DOCUMENTS = TESTS / "documents"
USER = [{"role": "user", "content": "Why?"}]
QWEN = {"skip_special_tokens": False, "stop": ["<|im_end|>"]}
LLAMA3 = {"stop_token_ids": [128001, 128009]}


def body(**added: Any) -> dict[str, Any]:
    return {"model": "qwen", "messages": USER, "stream": True, **added}


def parser_file(folder: Path, text: str) -> str:
    path = folder / "my_parser.py"
    path.write_text(text, encoding="utf-8")
    return str(path)


# -- by name -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "with_prompt", "with_dataset"),
    [
        ("openai_prompt", QWEN, None),
        ("openai_openqa_qwen", QWEN, QWEN),
        ("openai_openqa_llama3", LLAMA3, LLAMA3),
        ("openai_longalpaca_12k_qwen", {}, QWEN),
        ("openai_longalpaca_12k_llama3", LLAMA3, LLAMA3),
    ],
)
def test_a_named_parser_builds_the_bodies_of_the_guide(
    tmp_path: Path, name: str, with_prompt: dict[str, Any], with_dataset: dict[str, Any] | None
) -> None:
    """The five parsers by name build the bodies of the `llmuses perf` guide. (S4.21)"""
    assert list(open_parser(name, Source(model="qwen", prompt="Why?")).bodies()) == [body(**with_prompt)]
    openqa, long = tmp_path / "open_qa.jsonl", tmp_path / "long.json"
    openqa.write_text('{"question": "Why?"}\n{"question": "Why not at all?"}\n')
    long.write_text('[{"instruction": "Why?"}, {"instruction": "Why not at all?"}]')
    dataset = str(long if "longalpaca" in name else openqa)
    if with_dataset is None:
        with pytest.raises(ConfigError, match=r"expected --prompt with --parser openai_prompt"):
            open_parser(name, Source(model="qwen", dataset=dataset))
    else:
        source = Source(model="qwen", dataset=dataset, max_length=15)
        assert list(open_parser(name, source).bodies()) == [body(**with_dataset)]


def test_every_named_parser_of_the_guide_is_there_and_documented() -> None:
    text = (DOCS / "parsers.md").read_text("utf-8")
    assert [name for name in NAMED if f"| `{name}` |" not in text] == []
    assert len(NAMED) == 5


def test_parameters_win_and_null_takes_out() -> None:
    source = Source(model="qwen", prompt="Why?", parameters={"stop": ["\n"], "top_p": 0.9, "skip_special_tokens": None})
    assert list(open_parser("openai_prompt", source).bodies()) == [body(stop=["\n"], top_p=0.9)]


def test_the_prompt_wins_over_the_dataset_and_no_length_keeps_it_out() -> None:
    source = Source(model="qwen", prompt="Why?", dataset="nowhere", min_length=100)
    assert list(open_parser("openai_openqa_qwen", source).bodies()) == [body(**QWEN)]


def test_bodies_start_again_at_each_call() -> None:
    parser = open_parser("openai_prompt", Source(model="qwen", prompt="Why?"))
    assert list(parser.bodies()) == list(parser.bodies())


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("openai_openqa_qwen", Source(model="q"), r"expected --prompt or --dataset with --parser openai_openqa_qwen"),
        ("openai_openqa_qwen", Source(model="q", dataset="nowhere"), r"file of prompts at nowhere"),
        (
            "nope",
            Source(model="q", prompt="x"),
            r"a parser out of openai_prompt, .*, or the path of a Python file, got",
        ),
        ("nope.py", Source(model="q", prompt="x"), r"expected a file with a class PerfPlugin, got 'nope.py'; check"),
    ],
)
def test_what_cannot_be_opened_is_refused_before_any_request(name: str, source: Source, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_parser(name, source)


class Words:
    def count(self, text: str) -> int:
        return len(text.split())


def chunk(content: str, **more: Any) -> str:
    return json.dumps({"choices": [{"delta": {"content": content}}], **more})


def test_tokens_are_the_servers_then_the_tokenizers_then_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    source, events = Source(model="q", prompt="Why is that?"), [chunk("Just "), chunk("because it is.")]
    usage = json.dumps({"choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 40}})
    bare = open_parser("openai_prompt", source)
    request = next(bare.bodies())
    assert bare.tokens(events, request) == (None, None)
    monkeypatch.setattr("otel_llm.load.prompts.parsers.load_tokenizer", lambda _: Words())
    counting = open_parser("openai_prompt", source, tokenizer_path="here")
    assert counting.tokens(events, request) == (3, 4)
    assert counting.tokens([*events, usage], request) == (30, 40)
    whole = json.dumps({"choices": [{"message": {"content": "Just because"}, "finish_reason": "stop"}]})
    assert counting.tokens([whole], request) == (3, 2)
    with pytest.raises(ValueError, match=r".+"):
        counting.tokens(["oops"], request)


# -- by file -----------------------------------------------------------------------------------------------------


def test_the_guides_dashscope_example_runs_as_printed(tmp_path: Path) -> None:
    questions = tmp_path / "questions.txt"
    questions.write_text("Why?\n\nA question that is too long\n")
    source = Source(model="qwen-turbo", dataset=str(questions), max_length=20, parameters={"top_p": 0.5})
    parser = open_parser(str(DOCUMENTS / "dashscope_plugin.py"), source, tokenizer_path="/models/any")
    expected = {
        "model": "qwen-turbo",
        "input": {"messages": USER},
        "parameters": {"stream": True, "incremental_output": True, "top_p": 0.5},
    }
    assert list(parser.bodies()) == [expected]
    wire = (TESTS / "plugins/cases/dashscope/text/wire.sse").read_bytes()
    assert parser.tokens([event.decode() for event in Sse().feed(wire)], expected) == (9, 4)
    with_prompt = open_parser(str(DOCUMENTS / "dashscope_plugin.py"), Source(model="qwen-turbo", prompt="Why?"))
    assert next(with_prompt.bodies())["input"] == {"messages": USER}


def test_the_guides_example_without_prompt_and_dataset_says_so_before_any_request() -> None:
    with pytest.raises(PluginError, match=r"dashscope_plugin.py to build requests, got prompt or dataset is required!"):
        open_parser(str(DOCUMENTS / "dashscope_plugin.py"), Source(model="m"))


def test_our_base_class_has_the_members_of_the_guides() -> None:
    """`PerfPluginBase` has the methods of the `llmuses perf` guide, with the same arguments. (S4.22)"""
    namespace: dict[str, Any] = {}
    exec((DOCUMENTS / "llm_parser_base.py").read_text("utf-8"), namespace)  # noqa: S102  # the guide's own code
    theirs = namespace["PerfPluginBase"]
    for name in (name for name in vars(theirs) if not name.startswith("_")):
        signatures = [inspect.signature(getattr(base, name)) for base in (theirs, PerfPluginBase)]
        shapes = [[(p.name, p.kind, p.default) for p in signature.parameters.values()] for signature in signatures]
        assert shapes[0] == shapes[1], name
    for method in ("build_request", "parse_responses"):
        with pytest.raises(NotImplementedError):
            getattr(PerfPluginBase(), method)("x")


def test_the_helpers_of_our_base_read_lines_and_lists(tmp_path: Path) -> None:
    lines, items = tmp_path / "lines.txt", tmp_path / "items.json"
    lines.write_text("one\n\ntwo\r\n")
    items.write_text('[{"a": 1}, {"b": 2}]')
    assert list(PerfPluginBase().dataset_line_by_line(str(lines))) == ["one", "two"]
    assert list(PerfPluginBase().dataset_json_list(str(items))) == [{"a": 1}, {"b": 2}]


MINIMAL = """
from llmuses.perf.llm_parser_base import PerfPluginBase
class PerfPlugin(PerfPluginBase):
    {init}
    def build_request(self, model, prompt=None, dataset=None, max_length=0, min_length=0, **kwargs):
        yield {{"path": getattr(self, "path", "never given"), "kwargs": kwargs}}
    def parse_responses(self, responses, {takes}):
        return {returns}
"""


def minimal(folder: Path, init: str = "", takes: str = "**kwargs", returns: str = "1, 2") -> str:
    return parser_file(folder, MINIMAL.format(init=init, takes=takes, returns=returns))


@pytest.mark.parametrize(
    ("init", "got"),
    [
        ("", "never given"),
        ("def __init__(self): pass", "never given"),
        ("def __init__(self, tokenizer_path): self.path = tokenizer_path", "here"),
        ("def __init__(self, mode_path=None): self.path = mode_path", "here"),
    ],
)
def test_the_class_is_constructed_with_the_tokenizer_path_or_without(tmp_path: Path, init: str, got: str) -> None:
    parser = open_parser(minimal(tmp_path, init), Source(model="m", parameters={"top_k": 1}), tokenizer_path="here")
    assert next(parser.bodies()) == {"path": got, "kwargs": {"top_k": 1}}


@pytest.mark.parametrize(
    ("takes", "returns"),
    [
        ("**kwargs", "kwargs['request']['n'], kwargs['parameters']['m']"),
        ("request", "request['n'], 5"),
        ("parameters, request", "request['n'], parameters['m']"),
        ("**kwargs", "len(responses) + 1, None and responses[0].upper()"),
    ],
)
def test_parse_responses_gets_the_request_and_the_parameters(tmp_path: Path, takes: str, returns: str) -> None:
    parser = open_parser(minimal(tmp_path, takes=takes, returns=returns), Source(model="m", parameters={"m": 5}))
    assert parser.tokens(["a", "b"], {"n": 3}) == (3, None if "None" in returns else 5)


@pytest.mark.parametrize("returns", ["1", "1, 2, 3", "'1', 2", "-1, 2", "True, 2", "1.5, 2", "1 / 0"])
def test_what_is_no_pair_of_counts_is_a_plugin_error(tmp_path: Path, returns: str) -> None:
    parser = open_parser(minimal(tmp_path, returns=returns), Source(model="m"))
    with pytest.raises(PluginError, match=r"parse_responses of .*my_parser.py to return two token counts, got"):
        parser.tokens(["a"], {})


BROKEN = [
    ("import no_such_package_at_all", r"my_parser.py to import, got No module named 'no_such_package_at_all'"),
    ("def oops(:", r"my_parser.py to import, got invalid syntax"),
    ("raise SystemError('x')", r"my_parser.py to import, got x"),
    ("class Plugin: pass", r"a class named PerfPlugin in .*my_parser.py, got \['Plugin'.*docs/parsers.md"),
    ("PerfPlugin = 3", r"a class named PerfPlugin in"),
    ("class PerfPlugin: pass", r"PerfPlugin of .* to define build_request"),
    ("class PerfPlugin:\n def build_request(self, model, **k): yield {}", r"to define parse_responses"),
    (
        "from llmuses.perf.llm_parser_base import PerfPluginBase\nclass PerfPlugin(PerfPluginBase): pass",
        r"to define build_request",
    ),
    (
        "class PerfPlugin:\n def __init__(self, a, b): pass\n def build_request(self): pass\n parse_responses = 1",
        r"to take the tokenizer path or nothing, got missing a required argument: 'a'",
    ),
    ("class PerfPlugin:\n def build_request(self): yield {}\n parse_responses = 1", r"to build requests, got .*model"),
    ("class PerfPlugin:\n def build_request(self, **k): yield 'x'\n parse_responses = 1", r"yielded a str, not a dict"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_a_broken_file_is_refused_before_any_request(tmp_path: Path, text: str, message: str) -> None:
    """A parser file that cannot be used is an error at the start. (S4.24)"""
    with pytest.raises(PluginError, match=message):
        open_parser(parser_file(tmp_path, text), Source(model="m", prompt="x"))


def test_a_file_that_builds_nothing_is_refused(tmp_path: Path) -> None:
    path = parser_file(tmp_path, "class PerfPlugin:\n def build_request(self, **k): return ()\n parse_responses = 1")
    with pytest.raises(ConfigError, match=r"my_parser.py to build at least one request; check the dataset"):
        open_parser(path, Source(model="m", prompt="x"))


def test_a_parameter_named_like_an_argument_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"got \['max_length'\]; use the option itself"):
        open_parser(minimal(tmp_path), Source(model="m", parameters={"max_length": 3}))


@pytest.mark.parametrize("text", ["class PerfPlugin: pass", "1 / 0", None])
def test_the_old_module_name_is_lent_for_the_loading_only(
    tmp_path: Path, text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed_already = type(sys)("llmuses")
    monkeypatch.setitem(sys.modules, "llmuses", installed_already)
    before, path = dict(sys.modules), list(sys.path)
    if text is None:
        open_parser(minimal(tmp_path), Source(model="m"))
    else:
        with pytest.raises(PluginError):
            open_parser(parser_file(tmp_path, text), Source(model="m"))
    assert {name: sys.modules.get(name) for name in before} == before
    assert [name for name in sys.modules if name.startswith(("llmuses.", "otel_llm_parser_"))] == []
    assert sys.modules["llmuses"] is installed_already
    assert sys.path == path
    monkeypatch.delitem(sys.modules, "llmuses")
    with pytest.raises(ImportError):
        importlib.import_module("llmuses.perf.llm_parser_base")


def test_the_file_in_the_documentation_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(# my_parser\.py\n.*?)```", (DOCS / "parsers.md").read_text("utf-8"), re.DOTALL)
    questions = tmp_path / "questions.txt"
    questions.write_text("Why?\nWhy not?\n")
    parser = open_parser(parser_file(tmp_path, code), Source(model="m", dataset=str(questions), parameters={"k": 1}))
    assert list(parser.bodies()) == [{"model": "m", "question": q, "k": 1} for q in ("Why?", "Why not?")]
    assert parser.tokens(['{"usage": {"in": 3, "out": 4}}'], {}) == (3, 4)


def test_a_whole_answer_is_one_response() -> None:
    (case,) = (TESTS / "plugins/cases/openai_chat/whole").glob("wire.*")
    framer = Whole()
    framer.feed(case.read_bytes())
    events = [event.decode() for event in framer.end()]
    parser = open_parser("openai_prompt", Source(model="m", prompt="x"))
    assert parser.tokens(events, next(parser.bodies())) == (9, 3)
    assert load_protocol("openai_chat")().decode(events[0].encode())

"""Datasets: what each reads, how lengths are kept, what is said when a file is wrong. (S4.4, S4.7-10, S4.20)"""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otel_llm.entry_points import installed
from otel_llm.errors import ConfigError, PluginError
from otel_llm.load.prompts.datasets import DATASETS, as_messages, length, open_dataset
from otel_llm.load.prompts.datasets.samples import FILES, contents, sample
from otel_llm.load.prompts.formats import format_of


def write(folder: Path, text: str | bytes, name: str = "data") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]

READS: list[tuple[str, str, list[Any]]] = [
    ("line_by_line", "one\n\n  \ntwo \r\nthree", ["one", "two ", "three"]),
    ("line_by_line", "\ufefföffnen\n", ["öffnen"]),
    ("openqa", '{"question": "Why?", "human_answers": ["x"]}\n\n{"question": "为什么"}\n', ["Why?", "为什么"]),
    (
        "longalpaca",
        '[{"instruction": "Read this.", "input": ""}, {"instruction": "And\\nthis."}]',
        ["Read this.", "And\nthis."],
    ),
    ("jsonl_messages", json.dumps({"messages": MESSAGES}) + "\n" + json.dumps(MESSAGES) + "\n", [MESSAGES, MESSAGES]),
    ("csv_column", 'id,prompt\n1,"two\r\n\r\nlines, quoted"\n2,\n3,plain\n', ["two\r\n\r\nlines, quoted", "plain"]),
    (
        "sharegpt",
        json.dumps(
            [
                {
                    "conversations": [
                        {"from": "gpt", "value": "Hi"},
                        {"from": "human", "value": "Why?"},
                        {"from": "gpt", "value": "So."},
                    ]
                },
                {"conversations": [{"from": "gpt", "value": "nobody asked"}]},
                {"conversations": [{"from": "system", "value": "Be brief."}, {"from": "user", "value": "Why?"}]},
            ]
        ),
        [[{"role": "user", "content": "Why?"}], MESSAGES],
    ),
]


@pytest.mark.parametrize(("name", "text", "prompts"), READS)
def test_a_dataset_reads_its_format(tmp_path: Path, name: str, text: str, prompts: list[Any]) -> None:
    assert list(open_dataset(name, write(tmp_path, text))) == prompts


WRONG = [
    ("line_by_line", b"\xff\xfe", r"expected UTF-8 text in .*data, got"),
    ("openqa", b'{"question": "a"}\n{oops\n', r"expected JSON at .*data:2, got '\{oops'; write one JSON value a line"),
    (
        "openqa",
        b'{"question": "a"}\n{"q": 1}\n',
        r"text under 'question' at .*data:2, got \['q'\]; choose another --dataset-format",
    ),
    ("openqa", b'{"question": 1}\n', r"text under 'question' at .*data:1"),
    ("longalpaca", b'{"instruction": "a"}\n{"instruction": "b"}', r"expected a JSON list in .*data, got .*Extra data"),
    ("longalpaca", b'{"instruction": "a"}', r"expected a JSON list in .*data, got 'dict'"),
    ("longalpaca", b'[{"instruction": "a"}, "b"]', r"under 'instruction' at .*data, item 2, got 'str'"),
    ("jsonl_messages", b'{"messages": [{"content": "no role"}]}', r"expected messages as .* at .*data:1"),
    ("sharegpt", b'[{"conversations": 1}]', r"under 'conversations' at .*data, item 1"),
    ("sharegpt", b'[{"conversations": [{"from": "?", "value": "x"}]}]', r"expected turns as .* at .*data, item 1"),
    ("csv_column", b"a,b\n1,2\n", r"expected a column out of prompt, .*data, got \['a', 'b'\]; .* column=NAME"),
    ("csv_column", b"id,prompt\n1,x\n2\n", r"expected a cell in column 'prompt' at .*data:3; add it, or the comma"),
]


@pytest.mark.parametrize(("name", "text", "message"), WRONG)
def test_a_wrong_file_is_named_with_its_line(tmp_path: Path, name: str, text: bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        list(open_dataset(name, write(tmp_path, text)))


@pytest.mark.parametrize("name", sorted(set(installed(DATASETS)) - {"synthetic"}))
def test_a_missing_file_is_refused_when_the_dataset_is_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.*check the path"):
        open_dataset(name, tmp_path / "nowhere")


@pytest.mark.parametrize("name", sorted(set(installed(DATASETS)) - {"synthetic", *FILES}))
def test_a_dataset_without_a_sample_wants_a_path(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^expected [^,]*; give it after --dataset$"):
        open_dataset(name)


def test_lengths_are_characters_and_exclusive_on_both_sides(tmp_path: Path) -> None:
    path = write(tmp_path, "a\nbb\nccc\n世界世界\n")
    assert list(open_dataset("line_by_line", path, min_length=1, max_length=4)) == ["bb", "ccc"]
    assert list(open_dataset("line_by_line", path, min_length=3)) == ["世界世界"]
    assert length("世界") == 2
    assert length(MESSAGES) == len("Be brief.Why?")
    assert length([{"role": "user", "content": [{"type": "text", "text": "abc"}, {"type": "image_url"}]}]) == 3


@pytest.mark.parametrize("text", ["", "\n\n", "abc\n"])
def test_nothing_within_the_lengths_is_an_error_and_no_endless_loop(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"more than 3 and fewer than 9 characters in .*data; widen --min"):
        open_dataset("line_by_line", write(tmp_path, text), min_length=3, max_length=9)


def test_a_number_beyond_the_size_starts_again_and_none_is_one_pass(tmp_path: Path) -> None:
    dataset = open_dataset("line_by_line", write(tmp_path, "a\nb\nc\n"))
    assert list(dataset.take(7)) == ["a", "b", "c", "a", "b", "c", "a"]
    assert list(dataset.take(2)) == ["a", "b"]
    assert list(dataset.take(0)) == []
    assert list(dataset.take(None)) == list(dataset.take(None)) == ["a", "b", "c"]


def test_a_prompt_becomes_a_message_of_the_user_and_messages_stay() -> None:
    assert as_messages("Why?") == [{"role": "user", "content": "Why?"}]
    assert as_messages(MESSAGES) == MESSAGES


def test_an_unknown_dataset_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"a dataset out of csv_column, .*synthetic, got 'nope'"):
        open_dataset("nope")


def test_an_unknown_option_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"options of dataset csv_column out of \(column, delimiter\), got 'colum'"):
        open_dataset("csv_column", write(tmp_path, "prompt\na\n"), options={"colum": "prompt"})


def test_a_csv_column_by_name_and_delimiter(tmp_path: Path) -> None:
    path = write(tmp_path, "id;said\n1;hello\n")
    assert list(open_dataset("csv_column", path, options={"column": "said", "delimiter": ";"})) == ["hello"]


SHARED = {"conversations": [{"from": "human", "value": "Yo"}]}
OPENING = [{"role": "user", "content": "Yo"}]


@pytest.mark.parametrize(
    ("file", "text", "name", "prompts"),
    [
        ("p.jsonl", '{"prompt":"Why?"}\n\n{"prompt":"How?"}\n', "json_column", ["Why?", "How?"]),
        ("p.txt", '{"prompt":"Why?"}\n{"prompt":"How?"}\n', "json_column", ["Why?", "How?"]),
        ("p.json", '[{"question":"Why?"},{"question":"How?"}]', "json_column", ["Why?", "How?"]),
        ("p.json", json.dumps({"version": 1, "data": [{"text": "Why?"}]}, indent=1), "json_column", ["Why?"]),
        ("p.json", '["Why?", "How?"]', "json_column", ["Why?", "How?"]),
        ("p.jsonl", '{"messages": [{"role": "user", "content": "Yo"}]}', "json_column", [OPENING]),
        ("p.json", json.dumps(OPENING), "json_column", [OPENING]),
        ("p.jsonl", json.dumps({"custom_id": "1", "body": {"messages": OPENING}}), "json_column", [OPENING]),
        ("p.jsonl", '{"question_id": 81, "turns": ["Why?", "And then?"]}', "json_column", ["Why?"]),
        ("p", json.dumps([SHARED]), "sharegpt", [OPENING]),
        ("p.json", json.dumps([SHARED], indent=2), "sharegpt", [OPENING]),
        ("p.jsonl", f"{json.dumps(SHARED)}\n{json.dumps(SHARED)}\n", "sharegpt", [OPENING, OPENING]),
        ("p.tsv", "id\tprompt\n1\tHow, then?\n", "csv_column", ["How, then?"]),
        ("p.csv", "id;prompt\n1;How?\n", "csv_column", ["How?"]),
        ("p.txt", "[INST] Why? [/INST]\n{curly\n", "line_by_line", ["[INST] Why? [/INST]", "{curly"]),
        ("p.txt", "prompt\n1\n", "line_by_line", ["prompt", "1"]),
    ],
)
def test_a_file_is_read_by_what_is_in_it(tmp_path: Path, file: str, text: str, name: str, prompts: list[Any]) -> None:
    path = tmp_path / file
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_text(text, encoding=encoding)
        assert format_of(path) == name
        assert list(open_dataset(name, path)) == prompts


def test_json_without_a_prompt_is_refused_and_never_sent(tmp_path: Path) -> None:
    path = write(tmp_path, '{"timestamp":0,"input_length":6758,"hash_ids":[0,1]}\n{"timestamp":1}\n')
    with pytest.raises(ConfigError, match=r"a column out of .*data:1, got .*input_length.*; a trace goes after"):
        open_dataset(format_of(path), path)
    path.write_bytes(b"\x1f\x8b\x08" + bytes(20))
    with pytest.raises(ConfigError, match=r"got 'gzip data'; unpack the file"):
        format_of(path)
    path.write_text('{"prompt": "a"}\n{oops\n')
    with pytest.raises(ConfigError, match=r"expected JSON at .*data:2"):
        list(open_dataset(format_of(path), path))


@pytest.mark.parametrize(
    "turns",
    [
        {"conversations": [{"from": "bard", "value": "Ho"}, {"from": "human", "value": "Yo"}]},
        {"conversations": [{"from": "observation", "value": "o"}, {"from": "Human", "value": "Yo"}]},
        {"conversation": [{"from": "human", "value": "Yo"}]},
        {"conversations": [{"role": "user", "content": "Yo"}]},
        {
            "conversations": [
                None,
                {"from": "human", "value": None},
                {"from": "narrator"},
                {"from": "user", "value": "Yo"},
            ]
        },
    ],
)
def test_conversations_of_many_writers_are_read(tmp_path: Path, turns: dict[str, Any]) -> None:
    assert list(open_dataset("sharegpt", write(tmp_path, json.dumps([turns])))) == [OPENING]


def test_cells_of_any_size_and_encoding(tmp_path: Path) -> None:
    long = "x" * 200_000
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        path = write(tmp_path, f'id,prompt\n1,"{long}"\n2,Grüße\n'.encode(encoding))
        assert list(open_dataset("csv_column", path)) == [long, "Grüße"]
    path.write_bytes(b"prompt\n\x81\x8d\n")  # no UTF-8 and no Windows-1252
    assert list(open_dataset("csv_column", path)) == ["\x81\x8d"]
    with pytest.raises(ConfigError, match="delimiter to be one character"):
        list(open_dataset("csv_column", path, options={"delimiter": "::"}))


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^expected prompts in .*data, got 'none'; give another file$"):
        open_dataset("line_by_line", write(tmp_path, ""))


# -- tables ------------------------------------------------------------------------------------------------------


TABLE = pa.table({"id": [1, 2, 3], "prompt": ["one", None, "three"], "messages": [MESSAGES, MESSAGES, None]})


def save_to_disk(folder: Path, table: pa.Table, shards: int = 1) -> Path:
    """Write a folder in the form of datasets.save_to_disk."""
    folder.mkdir(parents=True)
    files = [f"data-{number:05}-of-{shards:05}.arrow" for number in range(shards)]
    for number, name in enumerate(files):
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table.slice(number * table.num_rows // shards, table.num_rows // shards))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in files]}))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def test_a_parquet_column_of_text_or_of_messages(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(TABLE, path)
    assert list(open_dataset("parquet", path)) == ["one", "three"]
    assert list(open_dataset("parquet", path, options={"column": "messages"})) == [MESSAGES, MESSAGES]
    with pytest.raises(ConfigError, match=r"expected text or messages at .*t.parquet, row 1, got 1"):
        open_dataset("parquet", path, options={"column": "id"})
    with pytest.raises(ConfigError, match=r"expected column 'nope' in .*t.parquet, got \["):
        open_dataset("parquet", path, options={"column": "nope"})
    with pytest.raises(ConfigError, match=r"expected a Parquet file at"):
        open_dataset("parquet", write(tmp_path, "no table"))


def test_a_folder_saved_by_datasets_in_shards_and_splits(tmp_path: Path) -> None:
    assert list(open_dataset("huggingface_disk", save_to_disk(tmp_path / "one", TABLE, shards=3))) == ["one", "three"]
    for split in ("train", "test"):
        save_to_disk(tmp_path / "many" / split, pa.table({"prompt": [split]}))
    (tmp_path / "many" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert list(open_dataset("huggingface_disk", tmp_path / "many")) == ["train"]
    assert list(open_dataset("huggingface_disk", tmp_path / "many", options={"split": "test"})) == ["test"]
    with pytest.raises(ConfigError, match=r"a split out of \['train', 'test'\] in .*many, got 'dev'"):
        open_dataset("huggingface_disk", tmp_path / "many", options={"split": "dev"})
    with pytest.raises(ConfigError, match=r"state.json in "):
        open_dataset("huggingface_disk", tmp_path)
    write(tmp_path / "one", b"broken", "data-00000-of-00003.arrow")
    with pytest.raises(ConfigError, match=r"an Arrow stream at .*data-00000-of-00003.arrow"):
        open_dataset("huggingface_disk", tmp_path / "one")


@pytest.mark.parametrize("name", ["parquet", "huggingface_disk"])
def test_without_pyarrow_the_next_step_is_said(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=re.escape("pip install 'otel-llm[parquet]'")):
        open_dataset(name, tmp_path)


# -- synthetic ---------------------------------------------------------------------------------------------------


def test_synthetic_prompts_have_the_size_asked_for_and_are_the_same_for_a_seed() -> None:
    made = list(open_dataset("synthetic", seed=7, options={"words": "12", "count": "50"}))
    assert made == list(open_dataset("synthetic", seed=7, options={"words": "12", "count": "50"}))
    assert made != list(open_dataset("synthetic", seed=8, options={"words": "12", "count": "50"}))
    assert len(set(made)) == 50
    assert {len(str(prompt).split()) for prompt in made} == {12}
    exact = open_dataset("synthetic", options={"characters": "333", "count": "50"})
    assert {length(prompt) for prompt in exact} == {333}


def test_synthetic_sizes_spread_evenly_around_the_size() -> None:
    sizes = [len(str(p).split()) for p in open_dataset("synthetic", options={"words": "100", "spread": "0.5"})]
    assert 50 <= min(sizes) < 55
    assert 145 < max(sizes) <= 150
    assert sum(sizes) / len(sizes) == pytest.approx(100, abs=3)  # deviation of the mean: 100/sqrt(12)/sqrt(1000) = 0.9


@pytest.mark.parametrize("option", ["words", "characters", "spread", "count"])
def test_a_size_that_is_no_number_is_refused(option: str) -> None:
    for value in ("many", "-1"):
        with pytest.raises(ConfigError, match=f"0 or more for the dataset option {option}, got '{value}'"):
            open_dataset("synthetic", options={option: value})


# -- samples and plugins -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_sample_is_what_our_script_writes_and_is_read_without_a_path(name: str) -> None:
    path = sample(name)
    assert path is not None
    assert path.read_text("utf-8") == contents()[path.name]
    prompts = list(open_dataset(name))
    assert len(prompts) >= 12
    assert len({str(prompt) for prompt in prompts}) == len(prompts)


def test_a_dataset_that_does_not_import_is_a_plugin_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    broken = EntryPoint("broken", "no_such_module_at_all:prompts", DATASETS)
    monkeypatch.setattr("otel_llm.load.prompts.datasets.installed", lambda _: {"broken": broken})
    with pytest.raises(PluginError, match=r"dataset broken \(no_such_module_at_all:prompts\) to import"):
        open_dataset("broken")


def test_every_dataset_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text("utf-8")
    assert [name for name in installed(DATASETS) if f"| `{name}` |" not in text] == []

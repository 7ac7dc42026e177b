"""The events of an answer, kept small, come out as they went in."""

import json
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.sinks.sqlite import COLUMNS
from otel_llm.wire.repeats import Content

BEFORE, AFTER = b'{"delta":{"content":"', '"},"name":"é \\" \\n"}'.encode()


def written_out(content: Content) -> list[str]:
    """What the run file's view makes of it, in SQL."""
    shown = {column.name: column.shown for column in COLUMNS}["content"]
    query = f"SELECT {shown} FROM (SELECT ? AS content)"  # noqa: S608  # ours
    with closing(sqlite3.connect(":memory:")) as db:
        ((found,),) = db.execute(query, (content.to_json(),)).fetchall()
    events: list[str] = json.loads(found)
    return events


def test_whole_events_and_texts_come_out_in_their_order() -> None:
    content = Content()
    content.add([b'{"role":"assistant"}'])
    content.around.append((BEFORE, AFTER))
    content.add_texts([b"a", "é".encode(), b" b"])
    content.add([b"[DONE]"])
    events = [b'{"role":"assistant"}', *(BEFORE + t + AFTER for t in (b"a", "é".encode(), b" b")), b"[DONE]"]
    assert content.events() == events
    assert written_out(content) == [event.decode() for event in events]


def test_texts_belong_to_what_is_around_them_when_they_come() -> None:
    content = Content(around=[(b"<", b">")])
    content.add_texts([b"a"])
    content.around.append((b"(", b")"))
    content.add_texts([b"b"])
    assert content.events() == [b"<a>", b"(b)"]


def test_what_repeats_is_kept_once() -> None:
    content = Content(around=[(BEFORE, AFTER)])
    for _ in range(100):
        content.add_texts([b" tok"] * 16)
    assert len(content.to_json()) < 1600 * 6 + 200
    assert len(written_out(content)) == 1600


def test_nothing_came() -> None:
    content = Content()
    content.add([])
    assert (content.events(), written_out(content)) == ([], [])


def test_what_is_no_text_is_replaced_and_not_lost() -> None:
    content = Content()
    content.add([b"\xff", b"a"])
    assert content.events() == [b"\xff", b"a"]
    assert written_out(content) == ["�", "a"]


events = st.lists(st.text(st.characters(exclude_characters="\x1e", exclude_categories=["Cs"]), max_size=6), min_size=1)
texts = st.lists(st.sampled_from(["a", " b", "é", "漢", "\\u001e"]).filter(lambda t: "\\" not in t), min_size=1)


@pytest.mark.parametrize("around", [(BEFORE, AFTER), (b"", b""), (b"\\u001e", b"\\")])
@given(st.lists(st.one_of(events.map(lambda e: (False, e)), texts.map(lambda t: (True, t)))))
def test_json_is_of_the_events(around: tuple[bytes, bytes], parts: list[tuple[bool, list[str]]]) -> None:
    content, expected = Content(around=[around]), list[str]()
    for repeats, part in parts:
        raw = [item.encode() for item in part]
        content.add_texts(raw) if repeats else content.add(raw)
        expected += [f"{around[0].decode()}{item}{around[1].decode()}" if repeats else item for item in part]
    assert [event.decode() for event in content.events()] == expected
    assert written_out(content) == expected

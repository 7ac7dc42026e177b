"""The definitions, on streams drawn as text: 10 ms a character."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otel_llm import measures
from otel_llm.measures import (
    MEASURES,
    inter_chunk_latencies,
    inter_token_latencies,
    max_inter_token_latency,
    real_time_factor,
    time_per_output_token,
    time_to_first_audio,
    time_to_first_chunk,
    time_to_first_image,
    time_to_first_token,
)
from otel_llm.observation import StreamObservation
from otel_llm.testing import FakeClock, timeline

MS = 0.001


@pytest.mark.parametrize(
    ("drawing", "first_chunk", "first_token"),
    [
        ("r...a.b|", 40, 40),
        ("r_..a.b|", 10, 40),  # a role chunk is a chunk, not a token
        ("r_?.a.b|", 10, 20),  # reasoning is content
        ("r_.*...|", 10, 30),  # so is a tool call
        ("r_..$..|", 10, None),  # usage is not
        ("r......|", None, None),
        ("r__a(bc)|", 10, 30),
    ],
)
def test_first_token_goes_by_content_not_by_packet(
    drawing: str, first_chunk: int | None, first_token: int | None
) -> None:
    record = timeline(drawing)
    expected = [None if ms is None else pytest.approx(ms * MS) for ms in (first_chunk, first_token)]
    assert [time_to_first_chunk(record), time_to_first_token(record)] == expected


@pytest.mark.parametrize(
    ("drawing", "gaps_ms"),
    [
        ("r..a.b..c|", [20, 30]),
        ("r..a...3|", [40 / 3] * 3),  # three tokens after 40 ms are three gaps of 13.3
        ("r..3...a|", [40]),  # k1 = 3: what came first has no gap before it
        ("r..(ab).c|", [0, 20]),  # b shares the first token's read
        ("r..a.(bc)|", [10, 10]),  # a read of two after 20 ms
        ("r_.a.$|", []),
        ("r..a|", []),
        ("r...|", []),
        ("r..a_b|", [20]),  # a chunk without a token does not split the gap
    ],
)
def test_inter_token_latency_is_the_gap_over_the_tokens_that_ended_it(drawing: str, gaps_ms: list[float]) -> None:
    assert inter_token_latencies(timeline(drawing)) * 1e3 == pytest.approx(gaps_ms)


def test_inter_chunk_latency_keeps_every_gap_and_every_zero() -> None:
    assert inter_chunk_latencies(timeline("r_.a(bc).$|")) * 1e3 == pytest.approx([20, 10, 0, 20])


def test_the_longest_wait_is_not_divided() -> None:
    assert max_inter_token_latency(timeline("r.a.b...4.c|")) == pytest.approx(40 * MS)


@pytest.mark.parametrize(
    ("drawing", "usage", "tpot_ms"),
    [
        ("r..a.b.c|", None, 20),
        ("r..3..a|", None, 30),  # (tL - t1) / (n - k1) = 30 / 1
        ("r..a..3|", None, 10),
        ("r..a|", None, None),
        ("r..3|", None, None),  # n = k1
        ("r..a.b|", 2, 20),
        ("r..(ab)|", None, 0),  # both came at once
    ],
)
def test_time_per_output_token_leaves_out_the_first_chunk(
    drawing: str, usage: int | None, tpot_ms: float | None
) -> None:
    expected = None if tpot_ms is None else pytest.approx(tpot_ms * MS)
    assert time_per_output_token(timeline(drawing, usage=usage)) == expected


def test_nothing_streamed_has_no_first_token_and_no_gaps() -> None:
    clock = FakeClock()
    obs = StreamObservation(clock=clock)
    clock.advance(seconds=2)
    obs.mark(tokens=30)
    obs.end()
    assert obs.record is not None
    assert time_to_first_token(obs.record) is None
    assert len(inter_token_latencies(obs.record)) == 0
    assert measures.request_latency(obs.record) == 2
    assert measures.output_throughput(obs.record) == 15


def test_an_open_loop_counts_from_the_intended_moment_too() -> None:
    record = timeline("i...r..a..|")
    assert measures.queue_delay(record) == pytest.approx(40 * MS)
    assert measures.corrected_time_to_first_token(record) == pytest.approx(70 * MS)
    assert measures.corrected_request_latency(record) == pytest.approx(100 * MS)
    closed = timeline("r..a|")
    assert measures.queue_delay(closed) is None
    assert measures.corrected_time_to_first_token(closed) is None


def test_no_time_passed_is_no_throughput() -> None:
    record = timeline("ra|", step_ns=0)
    assert measures.output_throughput(record) is None


drawings = st.lists(st.sampled_from("abc3_?*.$(x"), max_size=40).map(
    lambda cells: "r" + "".join(f"({'a' * 2})" if c == "(" else "." if c == "x" else c for c in cells) + "|"
)


@example("raaaaaaaaaaaaaaaa_(aa)(aa)|", 21)
@given(drawings, st.none() | st.integers(0, 200))
def test_gaps_are_one_per_token_after_the_first_chunk_and_sum_to_the_time_between(
    drawing: str, usage: int | None
) -> None:
    record = timeline(drawing, usage=usage)
    gaps = inter_token_latencies(record)
    # a chunk without text may bring a token all the same
    bearing = [i for i, kind in enumerate(record.chunks.kind) if kind in (1, 2, 3) or record.chunks.tokens[i]]
    if not bearing:
        assert len(gaps) == 0
        return
    tokens = [record.chunks.tokens[i] for i in bearing]
    assert len(gaps) == sum(tokens) - tokens[0]
    if all(tokens):
        took = record.chunks.at_ns[bearing[-1]] - record.chunks.at_ns[bearing[0]]
        assert sum(gaps) == pytest.approx(took / 1e9 if len(gaps) else 0)


@given(st.lists(drawings, min_size=1, max_size=6))
def test_many_records_at_once_are_the_same_as_one_after_the_other(many: list[str]) -> None:
    records = [timeline(drawing) for drawing in many]
    for vectorised in (inter_token_latencies, inter_chunk_latencies):
        one_by_one = np.concatenate([vectorised(record) for record in records])
        assert vectorised(*records) == pytest.approx(one_by_one)


def test_sound_and_images_have_a_first_piece_and_no_tokens() -> None:
    record = timeline("r..a.&.&|", audio_s=0.35)
    assert time_to_first_token(record) == pytest.approx(30 * MS)
    assert time_to_first_audio(record) == pytest.approx(50 * MS)
    assert real_time_factor(record) == pytest.approx(80 * MS / 0.35)
    assert record.output_tokens == 1
    drawn = timeline("r..#.#|")
    assert time_to_first_image(drawn) == pytest.approx(30 * MS)
    assert time_to_first_token(drawn) is None
    silent = timeline("r..a|")
    assert time_to_first_audio(silent) is time_to_first_image(silent) is real_time_factor(silent) is None


def test_the_table_says_of_every_measure_what_it_is_and_when_it_is_not() -> None:
    names = [measure.name for measure in MEASURES]
    assert names == list(dict.fromkeys(names))
    for measure in MEASURES:
        assert measure.formula
        assert measure.undefined
        assert len(measure.values([])) == 0

"""ServeGen's clients: what is drawn has the rates, the gaps and the lengths that their files state."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from otel_llm.errors import ConfigError
from otel_llm.load.traces.format import Part
from otel_llm.load.traces.opening import open_trace
from otel_llm.load.traces.trace import Trace
from tests.load.test_traces import SAMPLES

CLIENTS = SAMPLES / "servegen"


def of_client(trace: Trace, client: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the times (s) and lengths of a client's requests."""
    assert trace.sessions is not None
    own = trace.sessions == client
    return trace.at_ns[own] / 1e9, trace.input_tokens[own], trace.output_tokens[own]


def test_each_client_sends_as_many_in_each_window_as_its_rate_says() -> None:
    trace = open_trace(CLIENTS)
    assert (np.diff(trace.at_ns) >= 0).all()
    for client, counts in ((1, {600: 6000}), (2, {0: 300, 600: 2400, 1200: 3})):
        times, _, _ = of_client(trace, client)
        assert Counter((times // 600 * 600).astype(int).tolist()) == counts


def test_gaps_are_of_the_client_s_law() -> None:
    """By their variation, and by the share below a tenth of the mean: 0.307 for this gamma, 0.044 for this Weibull."""
    trace = open_trace(CLIENTS)
    for client, variation, short in ((1, 1 / 0.4**0.5, 0.3075), (2, 0.7750, 0.0442)):
        times, _, _ = of_client(trace, client)
        gaps = np.diff(times[(times >= 600) & (times < 1200)])
        assert gaps.std() / gaps.mean() == pytest.approx(variation, rel=0.08)
        assert (gaps < gaps.mean() / 10).mean() == pytest.approx(short, abs=4 * (short / len(gaps)) ** 0.5)


def test_lengths_are_those_stated_last_and_independent() -> None:
    trace = open_trace(CLIENTS)
    _, asked, answered = of_client(trace, 1)
    for length, share in ((12, 0.25), (40, 0.5), (300, 0.25)):
        assert (asked == length).mean() == pytest.approx(share, abs=0.025)
    assert (answered == 9).mean() == pytest.approx(0.6, abs=0.025)
    assert abs(np.corrcoef(asked, answered)[0, 1]) < 0.05
    times, asked, answered = of_client(trace, 2)
    assert set(asked[times < 1200].tolist()) == {20, 21}
    assert set(asked[times >= 1200].tolist()) == {70}


def test_a_part_is_that_part_of_the_whole_and_a_seed_is_one_trace() -> None:
    whole = open_trace(CLIENTS).between(700, 720)
    part = open_trace(CLIENTS, None, Part(700, 720)).between(700, 720)
    assert part.at_ns.tolist() == whole.at_ns.tolist()
    assert part.input_tokens.tolist() == whole.input_tokens.tolist()
    assert open_trace(CLIENTS, None, Part(seed=1)).at_ns.tolist() != open_trace(CLIENTS).at_ns.tolist()
    alone = open_trace(CLIENTS / "chunk-2-trace.csv")
    assert of_client(alone, 2)[0].tolist() == of_client(open_trace(CLIENTS), 2)[0].tolist()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("600,10,1,Gamma,0.4", r"chunk-1-trace\.csv:2, got 5 cells"),
        ("600,10,1,Pareto,0.4,1", "got gaps of Pareto with shape 0.4 at 10 a second; correct it"),
        ("600,-1,1,Gamma,0.4,1", "at -1 a second"),
        ("600,10,1,Gamma,nan,1", "with shape nan"),
        ("0,10,1,Gamma,1,1", "got a window at 0 s after one at 0 s"),
        ("600,1e9,1,Gamma,1,1", "5,000,000 requests of .* at most, got '600,000,000,000'; take less with --to"),
        ("600,0,0,,0,0", "expected requests in this part of .*, got 'none'; give another --from and --to"),
    ],
)
def test_a_row_that_cannot_be_is_one_line(row: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "chunk-1-trace.csv").write_text(f"0,0,0,,0,0\n{row}\n")
    shutil.copy(CLIENTS / "chunk-1-dataset.json", tmp_path)
    with pytest.raises(ConfigError, match=message) as error:
        open_trace(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ({}, r"histograms of lengths in .*chunk-1-dataset\.json, got 'none'"),
        (
            {"0": {"tokens": "{1: 1}", "output_tokens": "{1: 1}"}},
            r"a histogram of input_tokens or text_tokens at .*, got 'none'; correct it",
        ),
        ({"0": {"input_tokens": "{-1: 1}", "output_tokens": "{1: 1}"}}, "lengths from -1 to -1"),
        ({"0": {"input_tokens": "{1: 0}", "output_tokens": "{1: 1}"}}, "shares of 0 in all"),
        ({"0": {"input_tokens": "print(1)", "output_tokens": "{1: 1}"}}, r"as \{LENGTH: SHARE\} at .*, 0 s, got"),
        ({"then": {}}, r"histograms of lengths in .*, got"),
        ([], r"histograms of lengths in .*, got Expected `object`, got `array`"),
    ],
)
def test_lengths_that_cannot_be_are_one_line(lengths: object, message: str, tmp_path: Path) -> None:
    shutil.copy(CLIENTS / "chunk-1-trace.csv", tmp_path)
    (tmp_path / "chunk-1-dataset.json").write_text(json.dumps(lengths))
    with pytest.raises(ConfigError, match=message) as error:
        open_trace(tmp_path)
    assert "\n" not in str(error.value)


def test_a_client_with_images_sends_text_of_as_many_tokens(tmp_path: Path) -> None:
    lengths = {
        "text_tokens": "{10: 1.0}", "image_count": "{0: 0.5, 2: 0.5}", "image_tokens": "{100: 0.5, 300: 0.5}",
        "audio_count": "{0: 1.0}", "audio_tokens": "{0: 1.0}", "output_tokens": "{7: 1.0}",
    }  # fmt: skip
    (tmp_path / "chunk-1-trace.csv").write_text("0,10,1,Gamma,1,1\n")
    (tmp_path / "chunk-1-dataset.json").write_text(json.dumps({"0": lengths}))
    trace = open_trace(tmp_path)
    shares = {length: count / len(trace) for length, count in Counter(trace.input_tokens.tolist()).items()}
    assert shares == pytest.approx({10: 0.5, 210: 0.125, 410: 0.25, 610: 0.125}, abs=0.025)
    assert set(trace.output_tokens.tolist()) == {7}


def test_a_single_window_lasts_ten_minutes(tmp_path: Path) -> None:
    (tmp_path / "chunk-1-trace.csv").write_text("600,1,1,Gamma,1,1\n")
    shutil.copy(CLIENTS / "chunk-1-dataset.json", tmp_path)
    assert len(open_trace(tmp_path)) == 600


def test_a_folder_of_anything_else_is_no_trace(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got 'a folder'"):
        open_trace(tmp_path)

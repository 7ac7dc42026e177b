"""`otel-llm perf` of speech: sound has a first piece, a length and a real-time factor, and no token."""

from collections.abc import Callable
from pathlib import Path

import openai
import pytest

from otel_llm.load import run
from otel_llm.record import AUDIO
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.stored_run import read_records
from otel_llm.wire.discovery import load_protocol
from tests.load.conftest import Perf

Run = Callable[..., Perf]
SOUND_S = 11 * 0.04
MEASURED = {"time_to_first_audio", "audio_duration", "real_time_factor", "request_latency", "inter_chunk_latency",
            "time_to_first_chunk", "chunks", "connect_time"}  # fmt: skip


def test_speech_is_measured_and_openais_client_hears_the_same(tmp_path: Path) -> None:
    with SimProcess(Behaviour(ttft_ms=60, itl_ms=6, tokens=11, role_ms=0), log=True) as sim:
        done = run(
            url=sim.url, protocol="openai_speech", model="m", prompt="hi", number=6, parallel=3,
            name=str(tmp_path / "run.db"),
        )  # fmt: skip
        rows = sim.log()
        with openai.OpenAI(base_url=sim.url + "/v1", api_key="none") as client:
            heard = client.audio.speech.create(model="m", input="hi", voice="alloy", response_format="wav").read()
    assert len(heard) == 44 + 11 * 1920
    report, measures = done.report, done.report["measures"]
    assert report["requests"]["succeeded"] == len(rows) == 6
    assert {name for name, figures in measures.items() if figures["count"]} == MEASURED
    assert measures["audio_duration"]["min"] == measures["audio_duration"]["max"] == pytest.approx(SOUND_S)
    assert measures["real_time_factor"]["mean"] == pytest.approx(measures["request_latency"]["mean"] / SOUND_S)
    first = sum(row["first_token"] - row["recv"] for row in rows) / 6e9
    assert first <= measures["time_to_first_audio"]["mean"] < measures["request_latency"]["mean"]
    assert measures["time_to_first_chunk"]["mean"] < first, "expected the header to come before the sound"
    assert report["flags"] == {}
    for record in read_records(tmp_path / "run.db"):
        assert record.chunks.kind.count(AUDIO) <= 11  # a read may bring two pieces


def test_an_answer_that_breaks_off_and_one_that_is_refused_are_failures(perf: Run) -> None:
    with SimProcess(Behaviour(ttft_ms=5, itl_ms=1, tokens=11)) as sim:
        ask = ("--url", sim.url, "--protocol", "openai_speech", "--model", "m", "--prompt", "hi", "-n", "2")
        cut = perf(*ask, "--headers", "x-sim=fault=disconnect,fault_at=3")
        refused = perf(*ask, "--headers", "x-sim=fault=503")
    assert cut.report["requests"]["errors"] == {"disconnect": 2}
    assert refused.report["requests"]["errors"] == {"503": 2}


def test_a_piece_of_sound_that_looks_like_an_event_is_sound() -> None:
    answer = load_protocol("openai_speech")()
    assert [answer.decode(piece) for piece in (bytes(100), b'{"' + bytes(98))] == [(AUDIO, "", 0)] * 2
    assert answer.said.audio_s == 200 / 48_000


def test_compressed_sound_has_a_first_piece_and_no_length() -> None:
    answer = load_protocol("openai_speech")()
    assert [answer.decode(piece) for piece in (b"ID3\x04" + bytes(100), bytes(50))] == [(AUDIO, "", 0)] * 2
    assert answer.said.audio_s is None

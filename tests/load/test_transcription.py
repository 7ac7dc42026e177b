"""`otel-llm perf` of transcription: a recording goes out as a form, its words come back, at so many times its speed."""

import io
import wave
from pathlib import Path

import openai
import pytest

from otel_llm.cli import main
from otel_llm.load import run
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sim.formats.transcription import form_in
from otel_llm.wire.discovery import load_protocol
from tests.asking import ask_of


def test_a_transcription_is_measured_and_openais_client_reads_the_same(tmp_path: Path) -> None:
    with SimProcess(Behaviour(ttft_ms=60, itl_ms=6, tokens=11), log=True) as sim:
        streamed, whole = (
            run(
                url=sim.url, protocol="openai_transcription", model="m", prompt="", audio="0.5s", number=6, parallel=3,
                no_stream=no_stream, name=str(tmp_path / f"{no_stream}.db"),
            ).report
            for no_stream in (False, True)
        )  # fmt: skip
        rows = sim.log()
        with openai.OpenAI(base_url=sim.url + "/v1", api_key="none") as client:
            file = ("audio.wav", recording(0.5), "audio/wav")
            heard = client.audio.transcriptions.create(model="m", file=file)
            events = list(client.audio.transcriptions.create(model="m", file=file, stream=True))
    assert heard.text == " tok" * 11
    assert [event.type for event in events] == ["transcript.text.delta"] * 11 + ["transcript.text.done"]
    assert streamed["requests"]["succeeded"] == whole["requests"]["succeeded"] == 6
    measures = streamed["measures"]
    assert measures["output_tokens"]["mean"] == 11
    assert measures["input_tokens"]["mean"] == 5, "the simulator counts ten tokens a second"
    assert measures["inter_token_latency"]["count"] == 6 * 10
    first = sum(row["first_token"] - row["recv"] for row in rows[:6]) / 6e9
    assert first <= measures["time_to_first_token"]["mean"] < measures["request_latency"]["mean"]
    for each in (measures, whole["measures"]):
        assert each["audio_duration"]["min"] == each["audio_duration"]["max"] == 0.5
        assert each["real_time_factor"]["mean"] == pytest.approx(each["request_latency"]["mean"] / 0.5)
    assert whole["measures"]["time_to_first_token"]["count"] == 0
    assert streamed["flags"] == {}


def recording(seconds: float) -> bytes:
    to = io.BytesIO()
    with wave.open(to, "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(bytes(int(seconds * 48_000)))
    return to.getvalue()


def test_a_body_goes_out_as_the_form_that_a_server_reads() -> None:
    protocol = load_protocol("openai_transcription")
    asked = {"language": "en", "temperature": 0.5, "timestamp_granularities": ["word", "segment"]}
    request = protocol.encode(ask_of(protocol, "Ada, Bob", parameters=asked))
    form = form_in(request.headers["Content-Type"], protocol.as_sent(request.body))
    sound = form.pop("file")
    assert sound[:4] == b"RIFF"
    assert len(sound) == 44 + 4800
    assert form == {
        "model": "m", "prompt": "Ada, Bob", "stream": "true", "language": "en", "temperature": "0.5",
        "timestamp_granularities[]": "segment",  # the last of two
    }  # fmt: skip
    assert protocol.sound_asked(request.body) == 0.1
    assert protocol.sound_asked(b"{}") is None


def test_there_is_nothing_to_transcribe_without_a_recording(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--url", "http://127.0.0.1:9", "--protocol", "openai_transcription", "--model", "m", "--prompt", ""]
    assert main(["perf", *asked]) == 2
    said = capsys.readouterr().err
    assert "expected --audio with openai_transcription, got 'none'; give a length, such as 5s" in said
    assert said.count("\n") == 1

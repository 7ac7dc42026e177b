"""`otel-llm perf` of transcription: a recording goes out as a form, its words come back, at so many times its speed."""

import base64
import io
import json
import wave
from pathlib import Path
from typing import Any

import openai
import pytest
import websockets.sync.client

from otel_llm.cli import main
from otel_llm.errors import ConfigError
from otel_llm.load import run
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sim.formats.transcription import form_in
from otel_llm.testing import CLOSE, ScriptedServer
from otel_llm.wire.discovery import load_protocol
from otel_llm.wire.protocol import Media
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


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"text": "Hel lo", "usage": {"type": "duration", "seconds": 1}}, 1),  # as vLLM and OpenAI round it up
        ({"text": "Hel lo", "duration": 0.51}, 0.51),
    ],
)
def test_the_recording_itself_says_how_long_it_is_and_nobody_how_many_words_an_answer_in_one_piece_has(
    answer: dict[str, Any], said: float, tmp_path: Path
) -> None:
    (tmp_path / "wav").mkdir()
    (tmp_path / "wav" / "a.wav").write_bytes(recording(0.5))
    (tmp_path / "mp3").mkdir()
    (tmp_path / "mp3" / "a.mp3").write_bytes(b"ID3" + bytes(64))
    body = json.dumps(answer).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    with ScriptedServer([head, body, CLOSE]) as server:
        own, answer_s = (
            run(
                url=f"{server.url}/v1/audio/transcriptions", model="m", prompt="", audio=str(tmp_path / kind),
                number=2, no_stream=True, name=str(tmp_path / f"{kind}.db"),
            ).report["measures"]
            for kind in ("wav", "mp3")
        )  # fmt: skip
    assert (own["audio_duration"]["mean"], answer_s["audio_duration"]["mean"]) == (0.5, said)
    assert own["real_time_factor"]["mean"] == pytest.approx(own["request_latency"]["mean"] / 0.5)
    assert own["output_tokens"]["count"] == 0


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


def test_transcription_by_vllms_socket_is_measured_and_a_client_of_its_kind_hears_the_same(tmp_path: Path) -> None:
    with SimProcess(Behaviour(ttft_ms=60, itl_ms=6, tokens=11), log=True) as sim:
        by_socket = sim.url.replace("http", "ws", 1)
        report = run(
            url=by_socket, protocol="vllm_realtime", model="m", prompt="", audio="2.5s", number=6, parallel=3,
            name=str(tmp_path / "run.db"),
        ).report  # fmt: skip
        rows = sim.log()
        with websockets.sync.client.connect(f"{by_socket}/v1/realtime") as talk:
            assert json.loads(talk.recv())["type"] == "session.created"
            talk.send('{"type": "input_audio_buffer.commit"}')
            assert json.loads(talk.recv())["code"] == "model_not_validated"
            for said in (
                {"type": "session.update", "model": "m"},
                {"type": "input_audio_buffer.commit"},
                *[{"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(4096)).decode()}] * 8,
                {"type": "input_audio_buffer.commit", "final": True},
            ):
                talk.send(json.dumps(said))
            heard = [json.loads(talk.recv()) for _ in range(12)]
    assert [event["type"] for event in heard] == ["transcription.delta"] * 11 + ["transcription.done"]
    assert heard[-1]["text"] == "".join(event["delta"] for event in heard[:-1]) == " tok" * 11
    assert heard[-1]["usage"] == {"prompt_tokens": 10, "completion_tokens": 11, "total_tokens": 21}
    measures = report["measures"]
    assert (report["requests"]["succeeded"], report["flags"]) == (6, {})
    assert [measures[what]["mean"] for what in ("output_tokens", "input_tokens", "audio_duration")] == [11, 25, 2.5]
    assert measures["real_time_factor"]["mean"] == pytest.approx(measures["request_latency"]["mean"] / 2.5)
    assert measures["connect_time"]["count"] == 3, "expected sessions to be used again"
    assert {row["path"] for row in rows} == {"/v1/realtime"}


def test_a_recording_goes_to_vllm_in_pieces_of_a_second_and_only_at_its_own_rate() -> None:
    protocol = load_protocol("vllm_realtime")
    request = protocol.encode(ask_of(protocol, "Ada", parameters={"language": "en"}))
    whole = json.loads(request.body) | {"audio": base64.b64encode(bytes(range(250)) * 200).decode()}
    said = [json.loads(each) for each in protocol.messages(json.dumps(whole).encode())]
    assert said[0] == {"type": "session.update", "model": "m", "prompt": "Ada", "language": "en"}
    kinds = [each["type"].rpartition(".")[2] for each in said]
    assert kinds == ["update", "commit", "append", "append", "commit"]
    pieces = [base64.b64decode(each["audio"]) for each in said if "audio" in each]
    assert (list(map(len, pieces)), b"".join(pieces)) == ([32_000, 18_000], bytes(range(250)) * 200)
    assert said[-1]["final"] is True
    assert protocol.sound_asked(json.dumps(whole).encode()) == 50_000 / 32_000
    with pytest.raises(ConfigError, match="16,000 samples a second, got 'one of 1 channels, 2 bytes and 24,000"):
        protocol.with_media("", [Media("audio/wav", base64.b64encode(recording(0.1)).decode())])


def test_of_several_errors_the_first_is_what_went_wrong() -> None:
    """vLLM says that it does not know the model, and then of each message that follows that it is of no use."""
    answer = load_protocol("vllm_realtime")()
    for code in ("model_not_found", "model_not_validated"):
        answer.decode(json.dumps({"type": "error", "error": f"said of {code}", "code": code}).encode())
    assert answer.said.error == ("model_not_found", "said of model_not_found")

"""Images, recordings and videos: what is drawn is one, and each protocol sends it where its API wants it."""

import base64
import io
import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from PIL import Image as Picture

from otel_llm.cli import main
from otel_llm.errors import ConfigError
from otel_llm.load.prompts.media import parse_audio, parse_images, parse_video
from otel_llm.sim import Behaviour, SimServer
from otel_llm.wire.discovery import load_protocol, protocols
from otel_llm.wire.protocol import Ask, Media
from tests.load.conftest import Perf
from tests.load.test_sessions import Talker, talk

Run = Callable[..., Perf]


def opened(data: str) -> Picture.Image:
    return Picture.open(io.BytesIO(base64.b64decode(data)))


def test_what_is_drawn_is_an_image_of_its_size_and_no_two_are_alike() -> None:
    images = parse_images("2x100x37", 1, prompts=3)
    assert len(images.pool) == 6
    for image in images.pool:
        assert image.media_type == "image/png"
        picture = opened(image.data)
        assert (picture.size, picture.mode) == ((100, 37), "RGB")
    assert len({opened(image.data).tobytes() for image in images.pool}) == 6
    assert [images.of(0), images.of(2)] == [images.pool[:2], images.pool[4:]]
    assert images.of(3) == images.of(0)
    assert images.pool == parse_images("2x100x37", 1, prompts=3).pool != parse_images("2x100x37", 2, prompts=3).pool
    assert len(parse_images("1x8x8", 1, prompts=10_000).pool) == 128


def test_files_go_as_they_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    Picture.new("RGB", (4, 4)).save(tmp_path / "b.jpg")
    (tmp_path / "a.PNG").write_bytes(b"\x89PNG")
    (tmp_path / "notes.txt").write_text("none")
    images = parse_images(str(tmp_path), 0, prompts=1)
    assert [image.media_type for image in images.pool] == ["image/png", "image/jpeg"]
    assert base64.b64decode(images.pool[0].data) == b"\x89PNG"
    assert parse_images(str(tmp_path / "b.jpg"), 0, prompts=1).pool == images.pool[1:]


@pytest.mark.parametrize("text", ["0x5x5", "1x0x5", "1x5x99999", "1x5", "nowhere", "nowhere.png", "x.txt"])
def test_what_names_no_image_is_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(ConfigError, match="--images"):
        parse_images(text, 0, prompts=1)


SHOWN: dict[str, Callable[[Any], str]] = {
    "openai_chat": lambda body: body["messages"][0]["content"][1]["image_url"]["url"].partition("base64,")[2],
    "openai_responses": lambda body: body["input"][0]["content"][1]["image_url"].partition("base64,")[2],
    "openai_realtime": lambda body: body["response"]["input"][0]["content"][1]["image_url"].partition("base64,")[2],
    "anthropic_messages": lambda body: body["messages"][0]["content"][1]["source"]["data"],
    "gemini": lambda body: body["contents"][0]["parts"][1]["inlineData"]["data"],
    "bedrock_converse": lambda body: body["messages"][0]["content"][1]["image"]["source"]["bytes"],
    "ollama_chat": lambda body: body["messages"][0]["images"][0],
}


@pytest.mark.parametrize("name", SHOWN)
def test_each_protocol_sends_it_where_its_api_wants_it(name: str) -> None:
    protocol = load_protocol(name)
    changed = protocol.with_media("what is it?", [Media("image/png", "aGk=")])
    message = {"role": "user", "content": "what is it?", **changed}
    body = json.loads(protocol.encode(Ask(model="m", messages=[message])).body)
    assert SHOWN[name](body) == "aGk="
    assert "what is it?" in json.dumps(body)


def test_the_others_refuse_it_in_a_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert {name for name in protocols() if "image" in load_protocol(name).media} == set(SHOWN)
    words = [
        "--url",
        "http://127.0.0.1:9",
        "--model",
        "m",
        "--prompt",
        "x",
        "--images",
        "1x8x8",
        "--protocol",
        "cohere_chat",
    ]
    assert main(["perf", *words]) == 2
    assert "expected a protocol that takes --images, got 'cohere_chat'" in capsys.readouterr().err


@pytest.mark.parametrize("more", [["--prompt", "see"], ["--input-tokens", "5"], ["--prompt", "see", "--turns", "2"]])
def test_every_prompt_has_its_own_image(more: list[str], perf: Run) -> None:
    with Talker() as server:
        run = perf(*talk(server, "-n", "6", "--parallel", "2", "--images", "1x16x16", *more))
    assert run.code == 0, run.err
    bodies = [json.loads(request.body) for request in server.requests]
    sent = [SHOWN["openai_chat"](body) for body in bodies]
    assert len(set(sent)) == 6
    assert all(opened(image).size == (16, 16) for image in sent)
    if "--turns" in more:
        later = [body for body in bodies if len(body["messages"]) > 1]
        assert len(later) == 6
        assert all(isinstance(body["messages"][2]["content"], str) for body in later)


def test_a_client_of_openai_sends_the_same_form() -> None:
    (image,) = parse_images("1x8x8", 0, prompts=1).of(0)
    changed = load_protocol("openai_chat").with_media("see", [image])
    with SimServer(Behaviour()) as sim, openai.OpenAI(base_url=f"{sim.url}/v1", api_key="none") as client:
        asked: Any = [{"role": "user", **changed}]
        assert client.chat.completions.create(model="m", messages=asked).choices[0].message.content


# -- recordings and videos ------------------------------------------------------------------------------------------


def test_what_is_drawn_is_a_recording_of_its_length_and_no_two_are_alike() -> None:
    recordings = parse_audio("1.5s", 1, prompts=3)
    assert len({recording.data for recording in recordings.pool}) == 3
    for recording in recordings.pool:
        assert (recording.kind, recording.format) == ("audio", "wav")
        with wave.open(io.BytesIO(base64.b64decode(recording.data))) as file:
            assert (file.getframerate(), file.getnframes(), file.getnchannels()) == (24_000, 36_000, 1)
    assert recordings == parse_audio("1.5s", 1, prompts=3) != parse_audio("1.5s", 2, prompts=3)


def test_recordings_and_videos_are_files_or_folders_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(b"sound")
    (tmp_path / "b.mp4").write_bytes(b"film")
    assert [each.media_type for each in parse_audio(str(tmp_path), 0, 1).pool] == ["audio/mp3"]
    assert [each.media_type for each in parse_video(str(tmp_path / "b.mp4"), 0, 1).pool] == ["video/mp4"]
    with pytest.raises(ConfigError, match=r"--video .*, got .*a\.mp3.*; give \.mp4, \.webm, \.mov"):
        parse_video(str(tmp_path / "a.mp3"), 0, 1)
    for text in ("0s", "601s", "5", "nowhere.wav"):
        with pytest.raises(ConfigError, match="--audio"):
            parse_audio(text, 0, 1)


def test_a_recording_and_a_video_go_as_the_protocols_want_them() -> None:
    """OpenAI's form of a recording; a video as vLLM takes it, since OpenAI has none; both alike in Gemini's."""
    media = [Media("audio/wav", "aGk="), Media("video/mp4", "aG8=")]
    assert load_protocol("openai_chat").with_media("what is said?", media)["content"][1:] == [
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
        {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,aG8="}},
    ]
    assert load_protocol("gemini").with_media("what is said?", media)["content"][1:] == [
        {"inlineData": {"mimeType": "audio/wav", "data": "aGk="}},
        {"inlineData": {"mimeType": "video/mp4", "data": "aG8="}},
    ]
    taking = {name for name in protocols() if "audio" in load_protocol(name).media}
    assert taking == {"openai_chat", "openai_realtime", "openai_transcription", "gemini", "vllm_realtime"}


def test_a_recording_goes_to_the_realtime_api_without_its_header() -> None:
    (recording,) = parse_audio("0.5s", 1, prompts=1).pool
    realtime = load_protocol("openai_realtime")
    words, sound = realtime.with_media("what is said?", [recording])["content"]
    assert words == {"type": "input_text", "text": "what is said?"}
    assert (sound["type"], len(base64.b64decode(sound["audio"]))) == ("input_audio", 24_000)
    to = io.BytesIO()
    with wave.open(to, "wb") as file:
        file.setparams((2, 2, 16_000, 0, "NONE", ""))
    with pytest.raises(ConfigError, match="one of 2 channels, 2 bytes and 16,000 samples a second"):
        realtime.with_media("", [Media("audio/wav", base64.b64encode(to.getvalue()).decode())])
    with pytest.raises(ConfigError, match="--audio with a WAV"):
        realtime.with_media("", [Media("audio/mp3", "aGk=")])


def test_images_recordings_and_videos_go_together(perf: Run, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"film")
    given = ["--images", "2x8x8", "--audio", "0.1s", "--video", str(tmp_path / "film.mp4")]
    with Talker() as server:
        run = perf(*talk(server, "--prompt", "see", "-n", "3", *given))
        refused = perf(*talk(server, "--prompt", "see", "--protocol", "cohere_chat", "--audio", "1s"))
    assert run.code == 0, run.err
    sent = [json.loads(request.body)["messages"][0]["content"] for request in server.requests]
    parts = ["text", "image_url", "image_url", "input_audio", "video_url"]
    assert [[part["type"] for part in content] for content in sent] == [parts] * 3
    assert len({content[3]["input_audio"]["data"] for content in sent}) == 3
    assert refused.code == 2
    assert "expected a protocol that takes --audio, got 'cohere_chat'" in refused.err

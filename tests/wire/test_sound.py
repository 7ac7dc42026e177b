"""The length of sound that comes in pieces: the same wherever it is split, and none where nothing tells it."""

import io
import wave

import pytest

from otel_llm.wire.sound import Sound


def wav(seconds: float, rate: int = 16_000, channels: int = 2) -> bytes:
    to = io.BytesIO()
    with wave.open(to, "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(bytes(round(seconds * rate) * channels * 2))
    return to.getvalue()


def with_more_in_its_header(recording: bytes) -> bytes:
    return recording[:36] + b"LIST\x03\x00\x00\x00abc\x00" + recording[36:]


@pytest.mark.parametrize("recording", [wav(0.01), with_more_in_its_header(wav(0.01))], ids=["plain", "more"])
def test_a_wav_has_the_length_that_its_header_says_wherever_it_is_split(recording: bytes) -> None:
    starts = len(recording) - 640
    for at in range(len(recording) + 1):
        sound = Sound()
        first = sound.add(recording[:at])
        assert first == (at > starts), f"split at byte {at}"
        assert sound.add(recording[at:]) == (at < len(recording))
        assert sound.seconds == pytest.approx(0.01)


def test_a_wav_is_as_long_as_what_has_come_of_it_whatever_its_header_says() -> None:
    """Servers that stream do not know the length when they write the header."""
    recording = bytearray(wav(1, channels=1))
    recording[40:44] = b"\xff\xff\xff\xff"
    sound = Sound()
    sound.add(bytes(recording[: 44 + 3200]))
    assert sound.seconds == pytest.approx(0.1)


def test_what_has_no_header_is_pcm_and_what_is_compressed_has_no_length() -> None:
    pcm, mp3 = Sound(), Sound()
    assert pcm.add(bytes(4800))
    assert pcm.seconds == pytest.approx(0.1)
    assert mp3.add(b"ID3\x04" + bytes(4800))
    assert mp3.seconds is None


def test_a_header_without_end_is_not_awaited_for_ever() -> None:
    sound = Sound()
    assert not sound.add(b"RIFF\xff\xff\xff\xffWAVEjunk\xff\xff\xff\x7f")
    assert sound.add(bytes(5000)) in (True, False)
    assert sound.add(b"x"), "expected the bytes behind it to be sound"
    assert sound.seconds is None

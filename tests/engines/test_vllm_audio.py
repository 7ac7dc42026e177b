"""`otel-llm perf` against a real vLLM that transcribes: lengths, tokens and pieces, in its metrics and its answers."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.engines.conftest import Run, started
from tests.engines.vllm_audio import Transcriber
from tests.load.conftest import Perf

pytestmark = pytest.mark.timeout(1200)

REQUESTS, TOKENS, PROMPT = 6, 6, 4
USAGE = "stream_include_usage=true"


@pytest.fixture(scope="module")
def transcriber(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transcriber]:
    yield from started("vllm-audio", Transcriber, tmp_path_factory)


def asked(transcriber: Transcriber, seconds: float, *parameters: str) -> list[str]:
    return [
        *("--url", f"{transcriber.url}/v1/audio/transcriptions", "--model", transcriber.model, "--prompt", ""),
        *("--audio", f"{seconds}s", "-n", str(REQUESTS), "--parallel", "2", "--server-metrics", "auto"),
        *("--parameters", f"max_completion_tokens={TOKENS}", *parameters),
    ]


def accounts(done: Perf) -> dict[str, tuple[float, float, str]]:
    assert done.code == 0, done.err
    rows = done.report["server"]["accounts"]
    return {row["what"]: (row["server"], row["client"], row["verdict"]) for row in rows if not row["unit"]}


def of_a_recording(done: Perf, seconds: float) -> dict[str, Any]:
    measures: dict[str, Any] = done.report["measures"]
    assert measures["audio_duration"]["min"] == measures["audio_duration"]["max"] == seconds
    factor = measures["request_latency"]["mean"] / seconds
    assert measures["real_time_factor"]["mean"] == pytest.approx(factor)
    return measures


def test_a_stream_has_a_first_token_and_its_counts_are_those_of_the_metrics(run: Run, transcriber: Transcriber) -> None:
    done = run(*asked(transcriber, 2.5, USAGE, "language=en"))
    prompts, sound, made = REQUESTS * PROMPT, REQUESTS * 250, REQUESTS * TOKENS
    assert accounts(done) == {
        "requests": (REQUESTS, REQUESTS, "same"),
        "answered well": (REQUESTS, REQUESTS, "same"),
        "failed": (0, 0, "same"),
        "input tokens": (prompts, prompts + sound, "explained"),
        "output tokens": (made, made, "same"),
    }
    measures = of_a_recording(done, 2.5)
    assert measures["inter_token_latency"]["count"] == REQUESTS * (TOKENS - 1)
    first = next(row for row in done.report["server"]["accounts"] if row["what"] == "time to first token")
    assert (first["counts"], first["server"] < first["client"]) == ([REQUESTS, REQUESTS], True)


@pytest.mark.parametrize(("seconds", "pieces"), [(2.5, 1), (70, 3)])
def test_pieces_and_languages_are_requests_there(
    seconds: float, pieces: int, run: Run, transcriber: Transcriber
) -> None:
    done = run(*asked(transcriber, seconds, USAGE))
    prompts, made = REQUESTS * (pieces * PROMPT + 1), REQUESTS * pieces * TOKENS
    assert accounts(done) == {
        "requests": (REQUESTS * (pieces + 1), REQUESTS, "explained"),
        "answered well": (REQUESTS * (pieces + 1), REQUESTS, "explained"),
        "failed": (0, 0, "same"),
        "input tokens": (prompts, REQUESTS * (PROMPT + 100 * seconds), "explained"),
        "output tokens": (made + REQUESTS, made, "explained"),
    }
    assert of_a_recording(done, seconds)["output_tokens"]["mean"] == pieces * TOKENS


def test_an_answer_in_one_piece_has_the_recording_s_length_and_no_tokens(run: Run, transcriber: Transcriber) -> None:
    """The answer itself says 3 seconds, which is what would be billed."""
    done = run(*asked(transcriber, 2.5, "language=en"), "--no-stream")
    assert accounts(done) == {
        "requests": (REQUESTS, REQUESTS, "same"),
        "answered well": (REQUESTS, REQUESTS, "same"),
        "failed": (0, 0, "same"),
    }
    measures = of_a_recording(done, 2.5)
    counts = {name: measures[name]["count"] for name in ("output_tokens", "input_tokens", "time_to_first_token")}
    assert counts == dict.fromkeys(counts, 0)


def test_what_it_refuses_is_in_both_accounts(run: Run, transcriber: Transcriber) -> None:
    done = run(*asked(transcriber, 1, "response_format=diarized_json"), "--no-stream")
    assert done.report["requests"]["errors"] == {"400": REQUESTS}
    rows = {row["what"]: (row["server"], row["client"], row["verdict"]) for row in done.report["server"]["accounts"]}
    assert rows["failed"] == (REQUESTS, REQUESTS, "same")

"""`otel-llm perf` of image generation: an image has a first moment, half done or done, and no token."""

import base64
from pathlib import Path

import openai

from otel_llm.load import run
from otel_llm.record import IMAGE
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sinks.stored_run import read_records

MEASURED = {"time_to_first_image", "time_to_first_chunk", "inter_chunk_latency", "request_latency", "input_tokens",
            "chunks", "connect_time"}  # fmt: skip


def test_images_are_measured_and_openais_client_sees_the_same(tmp_path: Path) -> None:
    with SimProcess(Behaviour(ttft_ms=60, itl_ms=20, tokens=3), log=True) as sim:
        streamed, whole = (
            run(
                url=sim.url, protocol="openai_images", model="m", prompt="a cat", number=6, parallel=3,
                no_stream=no_stream, name=str(tmp_path / f"{no_stream}.db"),
            ).report
            for no_stream in (False, True)
        )  # fmt: skip
        rows = sim.log()[:6]
        with openai.OpenAI(base_url=sim.url + "/v1", api_key="none") as client:
            seen = client.images.generate(model="m", prompt="a cat")
            events = list(client.images.generate(model="m", prompt="a cat", stream=True, partial_images=3))
    assert seen.data is not None
    assert base64.b64decode(seen.data[0].b64_json or "").startswith(b"\x89PNG")
    assert [event.type.partition(".")[2] for event in events] == ["partial_image"] * 3 + ["completed"]
    assert streamed["requests"]["succeeded"] == whole["requests"]["succeeded"] == 6
    assert streamed["flags"] == whole["flags"] == {}
    measures = streamed["measures"]
    assert {name for name, figures in measures.items() if figures["count"]} == MEASURED
    first = sum(row["first_token"] - row["recv"] for row in rows) / 6e9
    assert first <= measures["time_to_first_image"]["mean"] < measures["request_latency"]["mean"]
    assert whole["measures"]["time_to_first_image"]["count"] == 0
    records = list(read_records(tmp_path / "False.db"))
    assert [record.chunks.kind.count(IMAGE) for record in records] == [4] * 6

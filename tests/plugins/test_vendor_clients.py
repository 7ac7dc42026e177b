"""The recorded cases are in the vendors' formats: the vendor's own client accepts every event of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from otel_llm.wire.sse import Sse

CASES = Path(__file__).parent / "cases"
# what servers send though it is in no reference: bare objects, and an event kind that does not exist
ODD = {"openai_chat/error", "openai_chat/odd_framing", "openai_responses/error_nested", "openai_responses/tool"}


@pytest.mark.parametrize(
    ("protocol", "event", "whole"),
    [("openai_chat", ChatCompletionChunk, ChatCompletion), ("openai_responses", ResponseStreamEvent, Response)],
)
def test_the_cases_of_openai_are_read_by_its_client(protocol: str, event: Any, whole: Any) -> None:
    seen = 0
    for wire in sorted(CASES.glob(f"{protocol}/*/wire.*")):
        if f"{protocol}/{wire.parent.name}" in ODD:
            continue
        events = [wire.read_bytes()] if wire.suffix == ".json" else Sse().feed(wire.read_bytes())
        shape: TypeAdapter[Any] = TypeAdapter(whole if wire.suffix == ".json" else event)
        for data in (data for data in events if data != b"[DONE]"):
            shape.validate_python(json.loads(data))
            seen += 1
    assert seen > 10

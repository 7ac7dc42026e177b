"""Bedrock's Converse: typed events in AWS's binary event stream."""

import zlib
from collections.abc import Mapping
from struct import pack
from typing import ClassVar

import orjson

from otel_llm.sim.formats.format import Format, Json

__all__ = ["BedrockConverse", "event_stream_message"]


class BedrockConverse(Format):
    """`converse-stream` and `converse`. An event is one member, its type, in the JSON of the other formats."""

    limits = ("inferenceConfig.maxTokens",)
    content_type = "application/vnd.amazon.eventstream"
    reasons: ClassVar[dict[str, str]] = {"stop": "end_turn", "length": "max_tokens"}

    @classmethod
    def model(cls, fields: Json, path: str) -> str:
        return path.split("/model/")[-1].rpartition("/")[0]

    @classmethod
    def streams(cls, fields: Json, path: str, headers: Mapping[str, str]) -> bool:
        return path.endswith("-stream")

    def comment(self) -> bytes:
        return b""

    def opening(self) -> list[Json]:
        return [{"messageStart": {"role": "assistant"}}]

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        delta = {"reasoningContent": {"text": text}} if thought else {"text": text}
        return [{"contentBlockDelta": {"delta": delta, "contentBlockIndex": self._index(thought=thought)}}]

    def _index(self, *, thought: bool) -> int:
        return int(self.behaviour.reasoning > 0 and not thought)

    def closing(self, tokens: int, finish: str) -> list[Json]:
        usage = [{"metadata": {"usage": self._usage(tokens), "metrics": {"latencyMs": 1}}}] if self.states_usage else []
        stopped = {"contentBlockStop": {"contentBlockIndex": self._index(thought=False)}}
        return [stopped, {"messageStop": {"stopReason": finish}}, *usage]

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        thoughts = [{"reasoningContent": {"reasoningText": {"text": thought}}}] if thought else []
        message = {"role": "assistant", "content": [*thoughts, {"text": text}]}
        usage = {"usage": self._usage(tokens)} if self.states_usage else {}
        return {"output": {"message": message}, "stopReason": finish, "metrics": {"latencyMs": 1}, **usage}

    def _usage(self, tokens: int) -> Json:
        said = self.count(tokens)
        return {"inputTokens": self.prompt_tokens, "outputTokens": said, "totalTokens": self.prompt_tokens + said}

    def failure(self, message: str) -> Json:
        return {"modelStreamErrorException": {"message": message}}

    def _events(self, events: list[Json]) -> tuple[bytes, int]:
        framed = [
            self.frame(orjson.dumps({kind: {**said, **self._pad}})) for event in events for kind, said in event.items()
        ]
        return b"".join(framed), len(framed)

    def frame(self, data: bytes, name: str = "") -> bytes:
        """Return one message, of the JSON of an event."""
        return event_stream_message(data)


def event_stream_message(event: bytes) -> bytes:
    """Return the message of an event: JSON with one member, its type, around its payload."""
    opened, _, payload = event.partition(b":")
    kind = opened.strip(b'{"')[:255]
    failed = kind.endswith(b"Exception")
    headers = {
        b":exception-type" if failed else b":event-type": kind,
        b":content-type": b"application/json",
        b":message-type": b"exception" if failed else b"event",
    }
    head = b"".join(pack(">B", len(n)) + n + pack(">BH", 7, len(v)) + v for n, v in headers.items())
    payload = payload[:-1] if event.endswith(b"}}") else payload  # one that breaks off has no end of its own
    prelude = pack(">II", len(head) + len(payload) + 16, len(head))
    message = prelude + pack(">I", zlib.crc32(prelude)) + head + payload
    return message + pack(">I", zlib.crc32(message))

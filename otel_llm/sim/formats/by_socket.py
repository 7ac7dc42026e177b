"""What is spoken over a WebSocket: the events of an answer, each a message, without a head and a body around them."""

from collections.abc import Mapping

from websockets.frames import Frame, Opcode

from otel_llm.sim.formats.format import Format, Json
from otel_llm.sim.formats.openai import Responses

__all__ = ["BySocket", "ResponsesBySocket", "text_frame"]


def text_frame(message: bytes) -> bytes:
    """Return the frame of a server's message."""
    return Frame(Opcode.TEXT, message).serialize(mask=False)


class BySocket(Format):
    """To be mixed in before a protocol's own."""

    over_http = False

    @classmethod
    def streams(cls, fields: Json, path: str, headers: Mapping[str, str]) -> bool:
        return True

    def frame(self, data: bytes, name: str = "") -> bytes:
        return text_frame(data)

    @classmethod
    def refusal(cls, message: str, kind: str, status: int) -> Json:
        """Return what stands in the place of an HTTP status."""
        return {"type": "error", "status": status, "error": {"type": kind, "code": kind, "message": message}}

    def comment(self) -> bytes:
        return Frame(Opcode.PING, b"").serialize(mask=False)


class ResponsesBySocket(BySocket, Responses):
    """OpenAI's Responses: what follows a `response.create`."""

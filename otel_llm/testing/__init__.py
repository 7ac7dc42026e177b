"""For anyone's tests: calls captured, time that stands still, streams drawn as text, scripted servers.

with capture() as calls:             # what your instrumentation measures, and nothing sent anywhere
    my_model.run("hello")
assert calls[0].metrics.output_tokens == 3

record = timeline("r..a.bb.c|")      # 10 ms a character
assert time_to_first_token(record) == 0.03
"""

from typing import TYPE_CHECKING

from otel_llm.loaded_later import loaded_later
from otel_llm.testing.capture import CapturedCall, CapturingSink, capture
from otel_llm.testing.clock import FakeClock
from otel_llm.testing.drawing import MS, timeline
from otel_llm.testing.scripted import CLOSE, RESET, STALL, ScriptedServer, SeenRequest

if TYPE_CHECKING:
    from otel_llm.receiver.otlp import OtlpReceiver

__all__ = [
    "CLOSE",
    "MS",
    "RESET",
    "STALL",
    "CapturedCall",
    "CapturingSink",
    "FakeClock",
    "OtlpReceiver",
    "ScriptedServer",
    "SeenRequest",
    "capture",
    "timeline",
]

# a test that only wants a FakeClock need not load gRPC
__getattr__ = loaded_later(__name__, {"OtlpReceiver": ("otel_llm.receiver.otlp", "OtlpReceiver")})

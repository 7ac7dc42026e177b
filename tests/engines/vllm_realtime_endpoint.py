"""vLLM's own endpoint of `/v1/realtime`, with an engine behind it that says a word for each second of the recording.

Run by the Python of the engine's environment. The address, the messages and the counts are vLLM's; what is not needed
is a model that hears.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import uvicorn
from fastapi import FastAPI
from vllm.entrypoints.speech_to_text.realtime.api_router import router
from vllm.entrypoints.speech_to_text.realtime.serving import OpenAIServingRealtime

MODEL, SAMPLES_PER_S, PROMPT_TOKENS, STEP_S = "heard", 16_000, 5, 0.02


class Serving(OpenAIServingRealtime):  # type: ignore[misc]  # of a package that is not here
    """Its own engine."""

    def __init__(self) -> None:
        self.model_cls = SimpleNamespace(realtime_max_tokens=1)
        self.engine_client = self

    def _is_model_supported(self, name: str | None) -> bool:
        return name == MODEL

    def create_error_response(self, message: str, **_: object) -> SimpleNamespace:
        return SimpleNamespace(error=SimpleNamespace(message=message))

    def transcribe_realtime(self, audio_stream: Any, input_stream: Any) -> Any:
        return audio_stream

    async def generate(self, prompt: Any, sampling_params: object, request_id: str) -> AsyncIterator[SimpleNamespace]:
        heard = 0
        async for piece in prompt:
            heard += len(piece)
        for number in range(heard // SAMPLES_PER_S):
            await asyncio.sleep(STEP_S)
            said = SimpleNamespace(text=f" word{number}", token_ids=[number])
            yield SimpleNamespace(outputs=[said], prompt_token_ids=list(range(PROMPT_TOKENS)))

    async def abort(self, request_id: str) -> None:
        pass


app = FastAPI()
app.include_router(router)
app.state.openai_serving_realtime = Serving()


@app.get("/health")
def health() -> dict[str, str]:
    return {}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")

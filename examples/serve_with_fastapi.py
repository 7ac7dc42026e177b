"""A streaming endpoint whose model is measured: `uvicorn serve_with_fastapi:app`, or `python serve_with_fastapi.py`.

The second starts the server, asks it once, and stops. What is measured is on stderr; with OTEL_EXPORTER_OTLP_ENDPOINT
it is exported as well, and nothing is lost when the server is told to stop.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

import otel_llm


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    with otel_llm.configure(service_name="talker", show=True):
        yield


app = FastAPI(lifespan=lifespan)


@otel_llm.metrics(model="talker", on_metrics=print)
async def talk(prompt: str) -> AsyncIterator[str]:
    await asyncio.sleep(0.1)
    for word in prompt.split():
        yield word + " "
        await asyncio.sleep(0.02)


@app.get("/generate")
async def generate(prompt: str) -> StreamingResponse:
    return StreamingResponse(talk(prompt), media_type="text/plain")


async def ask_once() -> None:
    import httpx
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # there is no event for it
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://127.0.0.1:{port}/generate", params={"prompt": "how are you"})
    print(answer.text)
    server.should_exit = True
    await running


if __name__ == "__main__":
    asyncio.run(ask_once())

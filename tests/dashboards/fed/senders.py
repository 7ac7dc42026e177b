"""Applications that send telemetry until their standard input ends: senders.py KIND URL MODEL.

decorated  a generator under our decorator; every eighth call fails
openai     the openai library as anyone uses it, every kind of call; measured by whoever has been put over it
"""

import contextlib
import itertools
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator

FAILS_EVERY, EMBEDS_EVERY, PAUSE_S = 8, 4, 0.05
EMBEDDER = "embedder"
PACE = random.Random(1)


def decorated(_url: str, model: str) -> Callable[[int], None]:
    import otel_llm

    otel_llm.configure()

    @otel_llm.metrics(model=model, provider="tests")
    def answer(number: int) -> Iterator[str]:
        for token in range(8):
            time.sleep(0.004 * PACE.lognormvariate(0, 0.5))
            if number % FAILS_EVERY == 0 and token == 4:
                raise TimeoutError("the model gave up")
            yield f"token {token}"

    def call(number: int) -> None:
        with contextlib.suppress(TimeoutError):
            for _ in answer(number):
                pass

    return call


def openai(url: str, model: str) -> Callable[[int], None]:
    from openai import APIError, OpenAI

    good = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    bad = OpenAI(base_url=f"{url}/x/fault=500/v1", api_key="none", max_retries=0)

    def call(number: int) -> None:
        client = good if number % FAILS_EVERY else bad
        if number % EMBEDS_EVERY == 1:
            good.embeddings.create(model=EMBEDDER, input="hello")
        with contextlib.suppress(APIError):
            if number % 2:
                client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hello"}])
                return
            stream = client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": "hello"}],
                stream=True,
                stream_options={"include_usage": True},
            )
            for _ in stream:
                pass

    return call


def main(kind: str, url: str, model: str) -> None:
    call = {"decorated": decorated, "openai": openai}[kind](url, model)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    for number in itertools.count():
        if ended.wait(PAUSE_S):
            return
        call(number)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Ten lines: a decorated generator and its numbers."""

import time

import otel_llm


@otel_llm.metrics(model="talker")
def talk(task: str):
    for word in task.split():
        time.sleep(0.01)
        yield word + " "


print("".join(talk("the first token is the one that users wait for")))
print(talk.last_metrics)

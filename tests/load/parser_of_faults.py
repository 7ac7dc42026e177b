"""A parser file: every twentieth request asks the truth server for one kind of fault, and so for each of seven."""

import json

from llmuses.perf.llm_parser_base import PerfPluginBase  # type: ignore[import-not-found]  # it is lent while this loads

KINDS = ("429", "500", "503", "disconnect", "stall", "badjson", "error")


class PerfPlugin(PerfPluginBase):  # type: ignore[misc]
    def build_request(self, model, prompt=None, dataset=None, max_length=0, min_length=0, **parameters):  # type: ignore[no-untyped-def]
        for number in range(20):
            knobs = {"ttft_ms": 10, "itl_ms": 2, "tokens": 12}
            if number < len(KINDS):
                knobs |= {"fault": KINDS[number], "fault_at": 6, "stall_ms": 3000}
            yield {
                "model": model, "stream": True, "truth": knobs,
                "messages": [{"role": "user", "content": prompt}], "stream_options": {"include_usage": True},
            }  # fmt: skip

    def parse_responses(self, responses, **kwargs):  # type: ignore[no-untyped-def]
        usage = json.loads(responses[-1])["usage"]
        return usage["prompt_tokens"], usage["completion_tokens"]

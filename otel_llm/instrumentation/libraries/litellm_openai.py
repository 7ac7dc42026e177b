"""What litellm asks by openai's client itself, `client.post("/chat/completions", ...)`: 1.110 does, 1.103 does not.

That goes past the resources of the library, which is where its calls are measured. So it is measured here: a span
inside of litellm's own, whose trace headers go out with the request. Anyone else's `post` goes by.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from opentelemetry import context as otel
from opentelemetry import trace

from otel_llm.instrumentation.calls.call import call_in
from otel_llm.instrumentation.calls.hooks import Arguments, Hooks, MeasuredCall
from otel_llm.instrumentation.calls.options import Options
from otel_llm.instrumentation.libraries import stainless
from otel_llm.instrumentation.libraries.adapter import LibraryTarget, Settings
from otel_llm.instrumentation.libraries.propagation import with_headers
from otel_llm.instrumentation.libraries.request import parameters, server_in

__all__ = ["targets"]

_OPERATIONS: Final = {"/chat/completions": "chat", "/completions": "text_completion", "/embeddings": "embeddings"}


def targets(settings: Settings, family: str) -> Iterable[LibraryTarget]:
    """Say what is measured. family: of the calls of litellm, inside of which it is."""

    def asks_a_model(_: Any, args: tuple[Any, ...]) -> bool:
        if args[:1] == () or args[0] not in _OPERATIONS:
            return False
        around = otel.get_current()
        call = call_in(around)
        if call is None or call.hooks.family != family:
            return False
        # not where another instrumentation has a span of its own between the two
        return trace.get_current_span(around) is trace.get_current_span(call.context)

    hooks = Hooks(
        only=asks_a_model,
        positional=("path",),
        describe=_describe,
        prepare=_send_headers if settings.propagate else None,
        wrap=stainless.raw_response,
        leaf=True,
    )
    for owner in ("OpenAI", "AsyncOpenAI"):
        yield LibraryTarget("litellm.llms.openai.openai", owner, ("post",), Options(kind="client"), hooks)


def _describe(client: Any, asked: Mapping[str, Any]) -> dict[str, Any]:
    body = asked.get("body")
    said = body if isinstance(body, Mapping) else {}
    return {
        "operation": _OPERATIONS[asked["path"]],
        "provider": "openai",
        "model": said.get("model"),
        "parameters": parameters(said),
        **server_in(client.base_url),
    }


def _send_headers(call: MeasuredCall, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
    options = with_headers(call, kwargs.get("options") or {}, "headers", getattr(call.instance, "_client", None))
    return args, {**kwargs, "options": options}

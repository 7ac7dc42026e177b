"""The spans that mistralai makes itself, from 2.0 on and where it was told to: none for a call that has one of ours."""

from collections.abc import Callable
from typing import Any, Final

from otel_llm.instrumentation.calls.hooks import MeasuredCall
from otel_llm.instrumentation.libraries.self_tracing import claim, is_claimed_here

__all__ = ["keep_quiet"]

_STEP: Final = "before_request"


def keep_quiet(call: MeasuredCall) -> None:
    """Have the client of `call` make no span of its own for it."""
    claim(call)
    config = getattr(call.instance, "sdk_configuration", None)
    for hook in getattr(getattr(config, "__dict__", {}).get("_hooks"), "before_request_hooks", ()):
        if type(hook).__name__ == "TracingHook" and _STEP not in vars(hook):
            setattr(hook, _STEP, _unless_claimed(getattr(hook, _STEP)))


def _unless_claimed(step: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def before_request(context: Any, request: Any) -> Any:
        return request if is_claimed_here() else step(context, request)

    return before_request

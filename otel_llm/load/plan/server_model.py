"""The model of a server that has one: asked of its list of models, once, before the run."""

import http.client
import ssl
from collections.abc import Mapping
from contextlib import closing
from typing import Final

import msgspec

from otel_llm.errors import ConfigError
from otel_llm.wire.target import Target

__all__ = ["find_model"]

_NEXT: Final = "give the name that the server knows the model by"
_PATIENCE_S: Final = 10.0
_LONGEST: Final = 1 << 22
_SHOWN: Final = 8


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


def find_model(target: Target, headers: Mapping[str, str], tls: ssl.SSLContext | None) -> str:
    """Return the name of the only model that the server lists at `…/models`.

    Raises ConfigError when it lists none or several, when it cannot be asked, and for an endpoint of a path that has no
    such list beside it.
    """
    head, version, _ = target.path.partition("/v1/")
    if not version or target.unix is not None or target.proxy is not None:
        raise ConfigError("--model NAME", next_step=_NEXT)
    try:
        names = _ask(target, f"{head}/v1/models", headers, tls)
    except (OSError, http.client.HTTPException, msgspec.MsgspecError, ValueError):
        raise ConfigError("--model NAME", next_step=_NEXT) from None
    if len(names) == 1 and names[0]:
        return names[0]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    has = f"one of {', '.join(names[:_SHOWN])}{more}" if names else "the server lists none"
    raise ConfigError("--model NAME", next_step=f"{_NEXT}: {has}")


def _ask(target: Target, path: str, headers: Mapping[str, str], tls: ssl.SSLContext | None) -> list[str]:
    """Return the names of the models in the server's list. Raises OSError, HTTPException, MsgspecError."""
    connection: http.client.HTTPConnection
    if tls is not None:
        connection = http.client.HTTPSConnection(target.host, target.port, timeout=_PATIENCE_S, context=tls)
    else:
        connection = http.client.HTTPConnection(target.host, target.port, timeout=_PATIENCE_S)
    with closing(connection):
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise http.client.HTTPException(answer.reason)
        return [model.id for model in msgspec.json.decode(answer.read(_LONGEST), type=_Models).data]

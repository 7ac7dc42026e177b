"""What requests go by is told by the schemes of the URLs: whether the protocol and the options agree with it."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Final

from otel_llm.errors import ConfigError
from otel_llm.wire.messages import SocketProtocol
from otel_llm.wire.protocol import Protocol
from otel_llm.wire.target import Target

__all__ = ["check_transport"]

_SCHEMES: Final[Mapping[str, str]] = {
    "http": "http:// or https://",
    "grpc": "grpc:// or grpcs://",
    "websocket": "ws:// or wss://",
}


def check_transport(targets: Sequence[Target], protocol: type[Protocol], args: Namespace) -> None:
    """Raise ConfigError where a URL is of another transport than the protocol, or an option is none of its."""
    carriers = {target.carrier for target in targets}
    if len(carriers) > 1:
        raise ConfigError("URLs of one transport", ", ".join(target.url for target in targets), "make a run for each")
    for target in targets:
        if target.carrier not in protocol.carriers:
            begins = ", ".join(map(_SCHEMES.__getitem__, protocol.carriers))
            raise ConfigError(f"a URL of {begins} for {protocol.name}", target.url, "name another with --protocol")
        if target.carrier == "websocket":
            _check_socket(args)
        if args.http2 and (target.carrier != "http" or (target.proxy is not None and not target.tls)):
            got = target.url if target.carrier != "http" else "a proxy before http://"
            raise ConfigError("--http2 with https://, or with http:// and no proxy", got, "leave it out")
        if args.barge_in is not None and not (issubclass(protocol, SocketProtocol) and protocol.stops):
            hint = "leave it out; --cancel closes the connection"
            raise ConfigError("--barge-in with a protocol by which an answer can be stopped", protocol.name, hint)
        if target.carrier == "grpc" and args.model is None:
            raise ConfigError("--model NAME", next_step="give the name that the server knows the model by")


def _check_socket(args: Namespace) -> None:
    """Raise ConfigError where no WebSocket can be spoken, and for what none has: headers of each request, one piece."""
    if find_spec("websockets") is None:
        raise ConfigError("the extra `websocket` for ws://", "none", "pip install 'otel-llm[websocket]'")
    headers = (("--session-header", args.session_header), ("--session-echo", args.session_echo))
    for option, given in (("--no-stream", args.no_stream), *headers):
        if given:
            raise ConfigError(f"a WebSocket without {option}", option, "leave it out, or ask by http://")

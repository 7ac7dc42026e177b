"""KServe's inference protocol (version 2) over gRPC, as Triton speaks it: tensors in, tensors out, a stream decoupled.

Source: the protocol's definition and Triton 2.51, read and seen in 2026. A stream ends with status OK also where it
failed: the error stands in a message. The end of an answer comes only if it is asked for, on a message without outputs
or on the last token itself, as the model has it; so it is asked for, and what has no output counts as no token.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from struct import unpack_from
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from otel_llm.record import OTHER
from otel_llm.wire.messages import MessageProtocol
from otel_llm.wire.protobuf import message_classes, parse
from otel_llm.wire.protocol import Ask, Delta, WireRequest, json_body, text

__all__ = ["KServeGrpc"]

_TOP: Final = frozenset(("id", "inputs", "model_version", "outputs", "parameters"))
_CONTENTS: Final = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip
_RAW: Final = {
    "BOOL": "?", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B", "UINT16": "H", "UINT32": "I",
    "UINT64": "Q", "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip
_MOST: Final = 1 << 62
_SIZES: Final = {"?": 1, "b": 1, "h": 2, "i": 4, "q": 8, "B": 1, "H": 2, "I": 4, "Q": 8, "e": 2, "f": 4, "d": 8}


class _Output(msgspec.Struct, gc=False):
    name: str = ""
    datatype: str = ""
    data: list[Any] = []


class _Event(msgspec.Struct, gc=False):
    error: str | None = None
    id: str | None = None
    model_name: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[_Output] = []


_decode = msgspec.json.Decoder(_Event).decode


class KServeGrpc(MessageProtocol):
    """`ModelStreamInfer`, or `ModelInfer` for a whole answer. The prompt is the input `text_input`.

    Parameters become inputs of their own type: BOOL, INT32, FP32, and BYTES for a text, or for a list or an object as
    JSON. `shape` is that of every input, [1] unless given; `inputs`, `outputs`, `parameters`, `id` and `model_version`
    are the request's own. The text is the output `text_output`, or the first one of BYTES.
    """

    name = "kserve_grpc"
    paths = ("/inference.GRPCInferenceService/ModelStreamInfer", "/inference.GRPCInferenceService/ModelInfer")
    operation = "text_completion"
    finishes = False
    repeats = True

    __slots__ = ()

    @classmethod
    def path(cls, model: str, *, stream: bool) -> str:
        return cls.paths[0 if stream else 1]

    @classmethod
    def answer_length(cls, tokens: int) -> Mapping[str, Any]:
        return {"max_tokens": tokens}

    @classmethod
    def encode(cls, ask: Ask) -> WireRequest:
        own = {key: value for key, value in ask.parameters.items() if key in _TOP and value is not None}
        shape = ask.parameters.get("shape") or [1]
        given = {key: value for key, value in ask.parameters.items() if key not in _TOP | {"shape"}}
        inputs = [_input(name, value, shape) for name, value in {"text_input": ask.prompt, **given}.items()]
        body: dict[str, Any] = {
            "model_name": ask.model,
            **own,
            "inputs": [each for each in inputs if each["data"] != [None]] + list(own.get("inputs", ())),
        }
        if ask.stream:
            body["parameters"] = {"triton_enable_empty_final_response": True, **own.get("parameters", {})}
        return WireRequest(json_body(body, {}))

    @classmethod
    def prepare(cls) -> None:
        _messages()

    @classmethod
    def pack(cls, body: bytes) -> bytes:
        asked = orjson.loads(body)
        message = _messages().request(
            model_name=asked["model_name"], model_version=asked.get("model_version", ""), id=asked.get("id", "")
        )
        _set_parameters(message, asked)
        for each in asked["inputs"]:
            _add(message.inputs, each, each["shape"])
        for each in asked.get("outputs", ()):
            message.outputs.add(name=each["name"])
        packed: bytes = message.SerializeToString()
        return packed

    @classmethod
    def unpack(cls, message: bytes) -> bytes:
        """Return a message as the protocol's own JSON.

        Which of two kinds it is, is told by where it has outputs: a model's name stands where a stream has its error.
        """
        known = _messages()
        response = _parsed(known.stream, message)
        if response is None or not response.infer_response.outputs:
            whole = _parsed(known.response, message)
            if whole is not None and whole.outputs:
                response = known.stream(infer_response=whole)
        if response is None:
            raise ValueError(f"expected a message of the protocol, got {len(message)} bytes that are none")
        if response.error_message:
            return orjson.dumps({"error": response.error_message})
        answer = response.infer_response
        return orjson.dumps({**_named(answer), "outputs": _tensors(answer.outputs, answer.raw_output_contents)})

    @classmethod
    def unpack_request(cls, message: bytes) -> bytes:
        asked = parse(_messages().request, message)
        return orjson.dumps({**_named(asked), "inputs": _tensors(asked.inputs, asked.raw_input_contents)})

    @classmethod
    def pack_event(cls, event: bytes, *, whole: bool = False) -> bytes:
        said, known = orjson.loads(event), _messages()
        message = known.stream(error_message=said.get("error"))
        if "error" not in said:
            answer = message.infer_response
            answer.model_name, answer.id = said.get("model_name", ""), said.get("id", "")
            _set_parameters(answer, said)
            for each in said.get("outputs", ()):
                _add(answer.outputs, each, [len(each["data"])])
        packed: bytes = (message.infer_response if whole else message).SerializeToString()
        return packed

    def decode(self, event: bytes) -> Delta | None:
        said, chunk = self.said, _decode(event)
        if chunk.error:
            said.error = "error", chunk.error
            return OTHER, "", 0
        said.response_model, said.response_id = chunk.model_name or said.response_model, chunk.id or said.response_id
        self.done |= chunk.parameters.get("triton_final_response") is True
        if not chunk.outputs:
            return None
        values = {output.name: output.data for output in chunk.outputs}
        if (tokens := _count(values.get("num_output_tokens"))) is not None:
            said.output_tokens = (said.output_tokens or 0) + tokens
        said.input_tokens = _count(values.get("num_input_tokens")) or said.input_tokens
        if reason := "".join(word for word in values.get("finish_reason", ()) if isinstance(word, str)):
            said.finish(reason)
        texts = values.get("text_output") or next((o.data for o in chunk.outputs if o.datatype == "BYTES"), ())
        words = "".join(word for word in texts if isinstance(word, str))
        return text(words, tokens or 0) if words else (OTHER, "", tokens or 0)


def _count(data: list[Any] | None) -> int | None:
    """Return the count in a tensor, which may be of floats; None where there is none."""
    value = data[0] if data else None
    return int(value) if isinstance(value, int | float) and 0 <= value < _MOST else None


def _parsed(kind: Any, message: bytes) -> Any:
    try:
        return parse(kind, message)
    except ValueError:
        return None


def _input(name: str, value: Any, shape: list[int]) -> dict[str, Any]:
    kind = {bool: "BOOL", int: "INT32", float: "FP32"}.get(type(value), "BYTES")
    if isinstance(value, dict | list):
        value = orjson.dumps(value).decode()
    return {"name": name, "datatype": kind, "shape": shape, "data": [value]}


def _named(message: Any) -> dict[str, Any]:
    """Return what requests and answers have in common."""
    parameters = {
        name: getattr(value, value.WhichOneof("choice") or "", None) for name, value in message.parameters.items()
    }
    return {"model_name": message.model_name, "id": message.id, "parameters": parameters}


def _set_parameters(message: Any, said: Mapping[str, Any]) -> None:
    for name, value in said.get("parameters", {}).items():
        _set(message.parameters[name], value)


def _tensors(tensors: Any, raw: Any) -> list[dict[str, Any]]:
    """Return tensors as JSON; what is in them may stand apart, as bytes in the same order."""
    return [
        {"name": each.name, "datatype": each.datatype, "data": _values(each, raw[at] if at < len(raw) else None)}
        for at, each in enumerate(tensors)
    ]


def _add(tensors: Any, each: Mapping[str, Any], shape: Sequence[int]) -> None:
    tensor = tensors.add(name=each["name"], datatype=each["datatype"], shape=shape)
    data = [item.encode() if isinstance(item, str) else item for item in each["data"]]
    getattr(tensor.contents, _CONTENTS[each["datatype"]]).extend(data)


def _values(tensor: Any, raw: bytes | None) -> list[Any]:
    """Return what a tensor holds: little-endian behind each other, texts behind their lengths, or typed."""
    kind = tensor.datatype
    if raw is None:
        found = getattr(tensor.contents, _CONTENTS.get(kind, "bytes_contents"))
        return [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in found]
    if kind == "BYTES":
        texts, at = [], 0
        while at + 4 <= len(raw):
            (size,) = unpack_from("<I", raw, at)
            texts.append(raw[at + 4 : at + 4 + size].decode("utf-8", "replace"))
            at += 4 + size
        return texts
    code = _RAW.get(kind)
    return [] if code is None else list(unpack_from(f"<{len(raw) // _SIZES[code]}{code}", raw))


def _set(parameter: Any, value: Any) -> None:
    name = {bool: "bool_param", int: "int64_param", float: "double_param"}.get(type(value), "string_param")
    setattr(
        parameter, name, value if name != "string_param" or isinstance(value, str) else orjson.dumps(value).decode()
    )


# -- the messages, with the fields that are used; what else a server sends is skipped ---------------------------------


class _Messages(NamedTuple):
    """The classes of ModelInferRequest, ModelInferResponse and ModelStreamInferResponse."""

    request: Any
    response: Any
    stream: Any


@cache
def _messages() -> _Messages:
    """Return the classes of the messages. Every run looks at the paths above; protobuf is for those who speak it."""
    head = ("1 model_name string", "2 model_version string", "3 id string", "4 parameters map<string,Parameter>")
    made = message_classes("inference", {
        "Parameter": (
            *("1 bool_param |bool", "2 int64_param |int64", "3 string_param |string", "4 double_param |double"),
            "5 uint64_param |uint64",
        ),
        "Contents": (
            *("1 bool_contents *bool", "2 int_contents *int32", "3 int64_contents *int64", "4 uint_contents *uint32"),
            *("5 uint64_contents *uint64", "6 fp32_contents *float", "7 fp64_contents *double"),
            "8 bytes_contents *bytes",
        ),
        "Tensor": ("1 name string", "2 datatype string", "3 shape *int64", "5 contents Contents"),
        "Wanted": ("1 name string",),
        "Request": (*head, "5 inputs *Tensor", "6 outputs *Wanted", "7 raw_input_contents *bytes"),
        "Response": (*head, "5 outputs *Tensor", "6 raw_output_contents *bytes"),
        "Stream": ("1 error_message string", "2 infer_response Response"),
    })  # fmt: skip
    return _Messages(made["Request"], made["Response"], made["Stream"])

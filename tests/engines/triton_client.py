"""NVIDIA's client asks a server by gRPC: triton_client.py ADDRESS MODEL TOKENS. What it heard, as JSON on stdout.

Run by the Python of Triton's environment, which has tritonclient.
"""

import json
import queue
import sys
from typing import Any

import numpy as np
import tritonclient.grpc as triton


def main(where: str, model: str, tokens: int) -> None:
    client = triton.InferenceServerClient(where)
    ready = [client.is_server_live(), client.is_server_ready(), client.is_model_ready(model)]
    came: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(callback=lambda result, error: came.put((result, error)))
    client.async_stream_infer(
        model,
        [_input("text_input", "BYTES", np.array([b"hi"], dtype=np.object_)),
         _input("max_tokens", "INT32", np.array([tokens], dtype=np.int32))],
        enable_empty_final_response=True,
    )  # fmt: skip
    texts = []
    while True:
        result, error = came.get(timeout=60)
        if error is not None:
            raise error
        said = result.get_response()
        texts += [text.decode() for name in (each.name for each in said.outputs) for text in result.as_numpy(name)]
        if said.parameters["triton_final_response"].bool_param:
            break
    client.stop_stream()
    print(json.dumps({"ready": ready, "texts": texts}))


def _input(name: str, kind: str, values: Any) -> Any:
    made = triton.InferInput(name, list(values.shape), kind)
    made.set_data_from_numpy(values)
    return made


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

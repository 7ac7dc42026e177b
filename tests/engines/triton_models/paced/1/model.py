"""A decoupled model of Triton's Python backend: a token each 10 ms, from a thread for each request."""

import threading
import time

import numpy as np
import triton_python_backend_utils as triton

GAP_S = 0.01
FINAL = triton.TRITONSERVER_RESPONSE_COMPLETE_FINAL


def asked(request, name, otherwise):
    tensor = triton.get_input_tensor_by_name(request, name)
    return otherwise if tensor is None else int(tensor.as_numpy().reshape(-1)[0])


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            threading.Thread(target=self.answer, args=(request, request.get_response_sender()), daemon=True).start()

    def answer(self, request, sender):
        tokens, fails = asked(request, "max_tokens", 16), asked(request, "fail_at", -1)
        begun = time.perf_counter()
        for token in range(tokens):
            time.sleep(max(0.0, begun + GAP_S * (token + 1) - time.perf_counter()))
            if token == fails:
                sender.send(triton.InferenceResponse(error=triton.TritonError("asked to fail")), flags=FINAL)
                return
            text = triton.Tensor("text_output", np.array([f"t{token} ".encode()], dtype=np.object_))
            sender.send(triton.InferenceResponse(output_tensors=[text]))
        sender.send(flags=FINAL)

#!/bin/sh
# Error rates and latencies of Triton are read from nv_inference_request_failure and nv_inference_request_duration_us.
#
# Seen with Triton 2.51.0 (nvidia-pytriton 0.7.0) and a decoupled model, as every model that streams is: a stream that
# ends in an error counts as a success, all reasons of failure stay 0, and the duration ends when the model's function
# returns, before most of the stream. Ten streams that took 400 ms each and failed at the end are ten short successes.
#
# Prints:
#     10 streams failed after 0.4 s each: success 10, failure 0, duration below half of that: yes
# Exit 0: it is still so. 1: it has changed.
set -eu
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q --disable-pip-version-check --no-deps nvidia-pytriton==0.7.0 numpy==1.26.4
packages=$("$folder/v/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
version=$("$folder/v/bin/python" -c 'import sysconfig; print(sysconfig.get_python_version())')
triton=$packages/pytriton/tritonserver
mkdir -p "$folder/backends/python" "$folder/models/slow/1"
cp -r "$triton/backends/python/." "$triton/python_backend_stubs/$version/triton_python_backend_stub" "$folder/backends/python"
cat >"$folder/models/slow/config.pbtxt" <<'END'
name: "slow"
backend: "python"
max_batch_size: 0
model_transaction_policy { decoupled: True }
input [ { name: "text_input" data_type: TYPE_STRING dims: [ 1 ] } ]
output [ { name: "text_output" data_type: TYPE_STRING dims: [ 1 ] } ]
instance_group [ { kind: KIND_CPU count: 1 } ]
END
cat >"$folder/models/slow/1/model.py" <<'END'
import threading
import time

import numpy as np
import triton_python_backend_utils as triton


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            threading.Thread(target=self.answer, args=(request.get_response_sender(),), daemon=True).start()

    def answer(self, sender):
        time.sleep(0.2)
        text = triton.Tensor("text_output", np.array([b"one token"], dtype=np.object_))
        sender.send(triton.InferenceResponse(output_tensors=[text]))
        time.sleep(0.2)
        failed = triton.InferenceResponse(error=triton.TritonError("out of memory"))
        sender.send(failed, flags=triton.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
END
cat >"$folder/ask.py" <<'END'
import json
import re
import sys
import time
import urllib.request

http, metrics = sys.argv[1:]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for _ in range(600):
    try:
        opener.open(f"http://127.0.0.1:{http}/v2/health/ready").close()
        break
    except OSError:
        time.sleep(0.1)


def counted(name):
    page = opener.open(f"http://127.0.0.1:{metrics}/metrics").read().decode()
    return sum(float(value) for value in re.findall(rf"^{name}{{.*}} (\S+)$", page, re.MULTILINE))


took = failed = 0
for _ in range(10):
    began = time.monotonic()
    body = json.dumps({"text_input": "hi"}).encode()
    with opener.open(f"http://127.0.0.1:{http}/v2/models/slow/generate_stream", body) as answer:
        assert answer.status == 200
        failed += b'"error"' in answer.read()
    took += time.monotonic() - began
assert failed == 10 and took > 4
success, failure = counted("nv_inference_request_success"), counted("nv_inference_request_failure")
short = counted("nv_inference_request_duration_us") / 1e6 < took / 2
print(
    f"10 streams failed after 0.4 s each: success {success:.0f}, failure {failure:.0f}, "
    f"duration below half of that: {'yes' if short else 'no'}"
)
sys.exit((success, failure, short) != (10, 0, True))
END
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
http=$(free) grpc=$(free) metrics=$(free)
libraries=$("$folder/v/bin/python" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')
LD_LIBRARY_PATH="$libraries:$packages/nvidia_pytriton.libs" PYTHONPATH=$packages PATH="$folder/v/bin:$PATH" \
    CUDA_VISIBLE_DEVICES='' "$triton/bin/tritonserver" --model-repository="$folder/models" \
    --backend-directory="$folder/backends" --http-address=127.0.0.1 --http-port="$http" --grpc-address=127.0.0.1 \
    --grpc-port="$grpc" --metrics-address=127.0.0.1 --metrics-port="$metrics" >"$folder/log" 2>&1 &
server=$!
timeout 120 python3 "$folder/ask.py" "$http" "$metrics"

"""KServe's own client asks a server for a whole answer, by `ModelInfer`, and prints it.

    pip install kserve==0.21.0                        # into an environment of its own: it pins what others need newer
    otel-llm sim --grpc-port 8001 &
    python benchmarks/kserve_client.py 127.0.0.1:8001

It is no test, as its seventy packages are in no lock of ours. What it said of the simulator: text_output BYTES, five
tokens for a `max_tokens` of 5.
"""

import asyncio
import sys

from kserve import InferInput, InferRequest
from kserve.inference_client import InferenceGRPCClient


async def main(where: str) -> None:
    client = InferenceGRPCClient(where)
    asked = [InferInput("text_input", [1], "BYTES", ["hello"]), InferInput("max_tokens", [1], "INT32", [5])]
    answer = await client.infer(InferRequest(model_name="m", infer_inputs=asked))
    for output in answer.outputs:
        print(output.name, output.datatype, output.data)
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""vLLM by gRPC, on a CPU, with a random model and a short context, two requests at a time."""

from pathlib import Path

import grpc
from smg_grpc_proto.generated import vllm_engine_pb2, vllm_engine_pb2_grpc

from tests.engines.vllm import SLOTS, environment, weights
from tools.engines import VLLM_GRPC
from tools.ports import HOST, free
from tools.process import PartProcess

CONTEXT = 64


class VLLMByGrpc(PartProcess):
    name = "vllm_grpc"

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.address = f"{HOST}:{free()}"

    def command(self) -> list[str]:
        host, _, port = self.address.rpartition(":")
        return [
            *(VLLM_GRPC.python, "-m", "vllm.entrypoints.launchers.grpc_server", "--model", str(weights())),
            *("--host", host, "--port", port, "--max-model-len", str(CONTEXT), "--max-num-seqs", str(SLOTS)),
            "--enforce-eager",
        ]

    def environment(self) -> dict[str, str]:
        return environment()

    def answers(self) -> bool:
        with grpc.insecure_channel(self.address) as channel:
            asked = vllm_engine_pb2_grpc.VllmEngineStub(channel).HealthCheck
            try:
                return bool(asked(vllm_engine_pb2.HealthCheckRequest(), timeout=5).healthy)
            except grpc.RpcError:
                return False

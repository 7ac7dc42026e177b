"""NVIDIA's Triton, from the wheel of pytriton, with a model in Python that sends tokens at a known pace."""

import os
import shutil
import subprocess
from pathlib import Path

from tools.engines import TRITON
from tools.ports import HOST, free
from tools.process import PartProcess

MODELS = Path(__file__).parent / "triton_models"
GAP_S = 0.01


class Triton(PartProcess):
    """Its model `paced` answers with a token each GAP_S; `max_tokens` says how many, `fail_at` which one fails."""

    name = "tritonserver"
    model = "paced"

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.http, self.grpc, self.metrics = free(), free(), free()
        self.url, self.grpc_address = f"http://{HOST}:{self.http}", f"{HOST}:{self.grpc}"
        self.ready_url = f"{self.url}/v2/health/ready"
        self.metrics_url = f"http://{HOST}:{self.metrics}/metrics"

    def command(self) -> list[str]:
        server = TRITON.packages / "pytriton" / "tritonserver"
        return [
            str(server / "bin" / "tritonserver"),
            *(f"--model-repository={MODELS}", f"--backend-directory={self._backends(server)}"),
            *(f"--http-address={HOST}", f"--http-port={self.http}"),
            *(f"--grpc-address={HOST}", f"--grpc-port={self.grpc}"),
            *(f"--metrics-address={HOST}", f"--metrics-port={self.metrics}"),
        ]

    def environment(self) -> dict[str, str]:
        """The library of its own Python comes first: the backend would load another one of the same name."""
        libraries = [_of_its_python("get_config_var('LIBDIR')"), str(TRITON.packages / "nvidia_pytriton.libs")]
        return {
            **os.environ,
            "LD_LIBRARY_PATH": os.pathsep.join(libraries),
            "PYTHONPATH": str(TRITON.packages),
            "PATH": os.pathsep.join([str(TRITON.folder / "bin"), os.environ["PATH"]]),
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def _backends(self, server: Path) -> Path:
        """A folder as tritonserver wants it: the backend with the program for our version of Python beside it."""
        folder = self.data / "backends" / "python"
        if not folder.is_dir():
            shutil.copytree(server / "backends" / "python", folder)
            version = _of_its_python("get_python_version()")
            shutil.copy(server / "python_backend_stubs" / version / "triton_python_backend_stub", folder)
        return folder.parent


def _of_its_python(expression: str) -> str:
    asked = [TRITON.python, "-c", f"import sysconfig; print(sysconfig.{expression})"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()

"""A real API server of Kubernetes, where `make kubernetes` has built or found one."""

from collections.abc import Iterator

import pytest

from tests.distributed.api_server import ApiServer, Etcd
from tools import find
from tools.errors import ToolsError

READY_S = 240


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    try:
        paths = [find.program(name).path for name in ("etcd", "kube-apiserver")]
    except ToolsError as error:
        pytest.skip(str(error))
    etcd = Etcd(paths[0], tmp_path_factory.mktemp("etcd"))
    started = ApiServer(paths[1], tmp_path_factory.mktemp("kube-apiserver"), etcd)
    try:
        etcd.start(READY_S)
        yield started.start(READY_S)
    finally:
        started.kill()
        etcd.kill()

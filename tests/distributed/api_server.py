"""An API server of Kubernetes with its store, on loopback: no nodes, no controllers, and what it says of objects."""

import json
import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tools.ports import HOST, free
from tools.process import PartProcess

__all__ = ["Answer", "ApiServer", "Etcd"]


class Answer(NamedTuple):
    """What the server says to a request."""

    status: int
    body: dict[str, Any]

    @property
    def said(self) -> str:
        return str(self.body.get("message"))


class Etcd(PartProcess):
    """What an API server keeps its objects in."""

    name = "etcd"

    def __init__(self, executable: Path, data: Path) -> None:
        super().__init__(data)
        self.executable = executable
        self.url, self._peers = f"http://{HOST}:{free()}", f"http://{HOST}:{free()}"
        self.ready_url = f"{self.url}/readyz"

    def command(self) -> list[str]:
        return [
            str(self.executable),
            "--data-dir=store",
            *(f"--listen-client-urls={self.url}", f"--advertise-client-urls={self.url}"),
            *(f"--listen-peer-urls={self._peers}", f"--initial-advertise-peer-urls={self._peers}"),
            f"--initial-cluster=default={self._peers}",
        ]


class ApiServer(PartProcess):
    """Takes objects, and refuses those that Kubernetes would refuse."""

    name = "kube-apiserver"

    def __init__(self, executable: Path, data: Path, etcd: Etcd) -> None:
        super().__init__(data)
        self.executable, self._etcd = executable, etcd
        self._port, self._token = free(), secrets.token_hex(16)
        self.url = f"https://{HOST}:{self._port}"
        self.ready_url = f"{self.url}/readyz"
        self.certificate = data / "certificates" / "apiserver.crt"
        self._types: dict[str, dict[str, Any]] = {}
        key = ec.generate_private_key(ec.SECP256R1())
        pem = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
        (data / "accounts.pem").write_bytes(key.private_bytes(*pem))
        (data / "tokens.csv").write_text(f'{self._token},admin,admin,"system:masters"\n')

    def command(self) -> list[str]:
        return [
            str(self.executable),
            f"--etcd-servers={self._etcd.url}",
            *(f"--bind-address={HOST}", f"--secure-port={self._port}", "--cert-dir=certificates"),
            *("--token-auth-file=tokens.csv", "--authorization-mode=RBAC"),
            *("--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=accounts.pem"),
            "--service-account-signing-key-file=accounts.pem",
            "--service-cluster-ip-range=10.201.0.0/24",
        ]

    def answers(self) -> bool:
        try:
            return self.ask("GET", "/readyz").status == 200
        except OSError:
            return False

    def create(self, item: Mapping[str, Any], *, keep: bool = False) -> Answer:
        """Give the server an object, which it is to check strictly. keep: and to keep"""
        where = "fieldValidation=Strict" + ("" if keep else "&dryRun=All")
        return self.ask("POST", f"{self._path(item)}?{where}", item)

    def _path(self, item: Mapping[str, Any]) -> str:
        version = item["apiVersion"]
        group = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if group not in self._types:
            found = self.ask("GET", group).body.get("resources", ())
            self._types[group] = {each["kind"]: each for each in found if "/" not in each["name"]}
        kind = self._types[group][item["kind"]]
        space = f"/namespaces/{item['metadata'].get('namespace', 'default')}" if kind["namespaced"] else ""
        return f"{group}{space}/{kind['name']}"

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Ask the server, as one who may do everything."""
        request = urllib.request.Request(
            self.url + path, None if body is None else json.dumps(body).encode(), method=method,
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )  # fmt: skip
        trust = ssl.create_default_context(cafile=self.certificate)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
        )
        try:
            with opener.open(request, timeout=60) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        try:
            return Answer(status, json.loads(text))
        except ValueError:
            return Answer(status, {"message": text.decode(errors="replace")})

"""Requests that AWS knows by their signature: what botocore computes of the bytes on the wire is what they say."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from otel_llm.cli import main
from otel_llm.errors import ConfigError
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.plan.share import Share
from otel_llm.load.worker import stock
from otel_llm.load.worker.stock import Stock
from otel_llm.sim import Behaviour, SimServer
from otel_llm.wire.protocol import Ask
from otel_llm.wire.sigv4 import Scope, parse_scope
from otel_llm.wire.target import Target
from otel_llm_plugins.bedrock_converse import BedrockConverse

KEY = Credentials("AKIAEXAMPLE", "not-a-real-secret-of-anybody", "a-session")
PATH = "/model/us.m-v1%3A0/converse-stream"
ASK = Ask(model="us.m-v1:0", messages=[{"role": "user", "content": "hi"}])


@pytest.fixture
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", str(KEY.token))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def signature_of(url: str, headers: Mapping[str, str], body: bytes, service: str = "bedrock") -> str:
    """Return the Authorization that a server computes of what it received, at the moment that the request names."""
    lower = {name.lower(): value for name, value in headers.items()}
    signed = lower["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    request = AWSRequest("POST", url, headers={name: lower[name] for name in signed}, data=body)
    request.context["timestamp"] = lower["x-amz-date"]
    own = auth.SigV4Auth(KEY, service, "eu-central-1")
    canonical = own.canonical_request(request)
    computed = own.signature(own.string_to_sign(request, canonical), request)
    scope = f"{KEY.access_key}/{own.credential_scope(request)}"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={';'.join(signed)}, Signature={computed}"


def parsed(wire: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = wire.partition(b"\r\n\r\n")
    return dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:]), body


def plan(scope: Scope, **more: Any) -> LoadPlan:
    target = Target.parse(f"https://bedrock-runtime.eu-central-1.amazonaws.com{PATH}")
    request = BedrockConverse.encode(ASK)
    return LoadPlan(
        target=target, protocol=BedrockConverse, requests=(request,), model="m", number=3, sigv4=scope, **more
    )


def test_what_checks_signatures_here_takes_those_of_boto3() -> None:
    seen: list[Any] = []

    def stop(request: Any, **_: object) -> None:
        seen.append(request)
        raise InterruptedError

    client = boto3.client(
        "bedrock-runtime", region_name="eu-central-1", aws_access_key_id=KEY.access_key,
        aws_secret_access_key=KEY.secret_key, aws_session_token=KEY.token,
    )  # fmt: skip
    client.meta.events.register("before-send", stop)
    with pytest.raises(InterruptedError):
        client.converse_stream(modelId=ASK.model, messages=[{"role": "user", "content": [{"text": "hi"}]}])
    (request,) = seen
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    headers.setdefault("host", "bedrock-runtime.eu-central-1.amazonaws.com")
    assert request.url.endswith(PATH)
    assert signature_of(request.url, headers, request.body) == headers["Authorization"]


@pytest.mark.usefixtures("_credentials")
@pytest.mark.parametrize("service", ["bedrock", "sagemaker"])
def test_every_request_is_signed_as_it_is_on_the_wire(service: str) -> None:
    made = plan(Scope("eu-central-1", service))
    own = Stock(made, Share(0, 1))
    for _ in range(3):
        prepared = own.take()
        assert prepared is not None
        headers, body = parsed(prepared.wire)
        assert headers["X-Amz-Security-Token"] == KEY.token
        assert headers["traceparent"]
        assert signature_of(made.target.url, headers, body, service) == headers["Authorization"]
        assert signature_of(made.target.url, headers, body + b" ", service) != headers["Authorization"]


@pytest.mark.usefixtures("_credentials")
def test_a_signature_that_waited_too_long_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0]
    monkeypatch.setattr(stock, "now_ns", lambda: now[0])
    own = Stock(plan(Scope("eu-central-1", "bedrock")), Share(0, 1))
    own.refill(2)
    now[0] = 100_000_000_000
    first = own.take()
    now[0] = 250_000_000_000
    second = own.take()
    assert first is not None
    assert second is not None
    assert (first.signed_ns, second.signed_ns) == (0, 250_000_000_000)
    assert (first.index, second.index) == (0, 1)
    sent = datetime.strptime(parsed(second.wire)[0]["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - sent).total_seconds()) < 60


@pytest.mark.usefixtures("_credentials")
def test_a_signed_run_keeps_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with SimServer(Behaviour(ttft_ms=1, itl_ms=1, tokens=3)) as sim:
        words = [
            "perf",
            "--url",
            sim.url,
            "--protocol",
            "bedrock_converse",
            "--model",
            "m:0",
            "--prompt",
            "x",
            "-n",
            "4",
        ]
        assert main([*words, "--sigv4", "eu-central-1", "--name", "run.db", "--json", "report.json", "--debug"]) == 0
    kept = (tmp_path / "run.db").read_bytes() + (tmp_path / "report.json").read_bytes()
    assert b"eu-central-1" in kept
    for secret in (KEY.access_key, KEY.secret_key, str(KEY.token), "Signature="):
        assert secret.encode() not in kept


@pytest.mark.usefixtures("_credentials")
def test_what_cannot_be_signed_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["perf", "--url", "http://127.0.0.1:9", "--protocol", "bedrock_converse", "--model", "m", "--prompt", "x"]
    for more, said in (
        (["--sigv4", "/x"], "expected --sigv4 REGION or REGION/SERVICE"),
        (
            ["--sigv4", "eu-central-1", "--headers", "Authorization=Bearer x"],
            "either --sigv4 or an Authorization header",
        ),
    ):
        assert main([*words, *more]) == 2
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    assert main([*words, "--sigv4", "eu-central-1"]) == 2
    assert "expected AWS credentials for --sigv4" in capsys.readouterr().err


def test_a_scope_is_a_region_and_a_service() -> None:
    assert parse_scope("us-east-1/sagemaker") == Scope("us-east-1", "sagemaker")
    with pytest.raises(ConfigError):
        parse_scope("us-east-1/")

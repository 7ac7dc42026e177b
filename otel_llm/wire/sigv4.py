"""Signatures of AWS (version 4), by botocore: who asks is known by an access key, which never goes out itself."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from otel_llm.errors import ConfigError

__all__ = ["Scope", "Signer", "parse_scope"]

_SENT: Final = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")


class Scope(NamedTuple):
    """What a signature is good for. service: `bedrock`, `sagemaker`, …"""

    region: str
    service: str


def parse_scope(text: str) -> Scope:
    """Return the scope of REGION or REGION/SERVICE. Raises ConfigError for anything else.

    >>> parse_scope("eu-central-1")
    Scope(region='eu-central-1', service='bedrock')
    """
    region, slash, service = text.partition("/")
    if not region or (slash and not service):
        raise ConfigError("--sigv4 REGION or REGION/SERVICE", text, "for example us-east-1, or us-east-1/sagemaker")
    return Scope(region, service or "bedrock")


class Signer:
    """Signs requests with the credentials that boto3 would find: variables, a profile, a role; renewed as they end."""

    def __init__(self, scope: Scope) -> None:
        """Raises ConfigError without botocore, and where there are no credentials."""
        try:
            from botocore import auth, awsrequest, session  # those who sign have it
            from botocore.exceptions import BotoCoreError
        except ImportError as error:
            raise ConfigError("the extra `aws` for --sigv4", str(error), "pip install 'otel-llm[aws]'") from error
        try:
            self._credentials: Any = session.get_session().get_credentials()
        except BotoCoreError as error:
            raise _no_credentials(error) from error
        if self._credentials is None:
            raise _no_credentials("none")
        self._scope, self._auth, self._request = scope, auth.SigV4Auth, awsrequest.AWSRequest

    def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        """Return the headers that make a POST of this body a signed one, from now on for five minutes."""
        request = self._request("POST", url, data=body)
        service, region = self._scope.service, self._scope.region
        self._auth(self._credentials.get_frozen_credentials(), service, region).add_auth(request)
        return {name: request.headers[name] for name in _SENT if name in request.headers}


def _no_credentials(got: object) -> ConfigError:
    return ConfigError(
        "AWS credentials for --sigv4", got, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"
    )

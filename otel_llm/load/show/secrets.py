"""The secrets of one run, struck out of whatever is written down or shown: servers repeat keys in what they answer."""

import json
import os
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from otel_llm.load.plan.option_values import parse_key_values
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.show.redact import REDACTED, SHORTEST, is_secret_name, looks_random, query_secrets, redact
from otel_llm.record import StreamRecord
from otel_llm.wire.repeats import Content

__all__ = ["Secrets", "secrets_of"]


class Secrets:
    """Texts that are to stand in no file and on no screen.

    texts:     a text of fewer than 6 characters is not struck out: it would be struck out of ordinary words
    in_bodies: whether request bodies have members whose names suggest a secret
    """

    def __init__(self, texts: Iterable[str] = (), *, in_bodies: bool = False) -> None:
        found = {form for text in texts for form in _forms(text) if len(text) >= SHORTEST}
        self._texts = sorted(found, key=len, reverse=True)
        self._pairs = [(text.encode(), REDACTED.encode()) for text in self._texts]
        self._in_bodies = in_bodies

    def strike(self, text: str) -> str:
        """Return the text with `[redacted]` in place of every secret."""
        for secret in self._texts:
            text = text.replace(secret, REDACTED)
        return text

    def clean_body(self, body: bytes) -> bytes:
        """Return a request body without secrets."""
        return self._bytes(_redact_body(body) if self._in_bodies else body)

    def clean_content(self, content: Content | None) -> Content | None:
        """Return the events of an answer without secrets; the same where there are none."""
        if content is None or not any(self._has(part) for part in _parts_of(content)):
            return content
        struck = Content()
        struck.add([self._bytes(event) for event in content.events()])
        return struck

    def clean_record(self, record: StreamRecord) -> StreamRecord:
        """Return the record without secrets; the same where there are none."""
        said = (record.error_message, record.error_type, record.response_model, record.response_id)
        if not any(text in (word or "") for word in said for text in self._texts):
            return record
        message, kind, model, identity = (word and self.strike(word) for word in said)
        return msgspec.structs.replace(
            record,
            error_message=message,
            error_type=kind,
            response_model=model,
            response_id=identity,
        )

    def _bytes(self, data: bytes) -> bytes:
        for secret, instead in self._pairs:
            data = data.replace(secret, instead)
        return data

    def _has(self, data: bytes) -> bool:
        return any(secret in data for secret, _ in self._pairs)


def secrets_of(args: Namespace, plan: LoadPlan) -> Secrets | None:
    """Return the secrets that the command line, the files it names and the environment hold; None when there are none.

    With none, nothing is looked for in any answer.
    """
    parameters = parse_key_values("--parameters", args.parameters)
    urls = [*args.url, *filter(None, (args.otlp_endpoint, args.proxy)), *_endpoints()]
    texts = [
        *_of_headers(plan.all_headers(plan.request(0))),
        *_of_headers(_otlp_headers()),
        *(text for url in urls for text in query_secrets(urlsplit(url if "://" in url else f"http://{url}"))),
        *_of_parameters(parameters),
        *filter(None, (args.wandb_api_key,)),
    ]
    in_bodies = redact(parameters) != parameters
    return Secrets(texts, in_bodies=in_bodies) if in_bodies or any(len(text) >= SHORTEST for text in texts) else None


def _of_headers(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield the values of headers that may be secrets, with and without their scheme."""
    for name, value in headers.items():
        if value.strip() and (is_secret_name(name) or looks_random(value)):
            yield from (value, value.split()[-1])


def _of_parameters(value: Any, secret: bool = False) -> Iterator[str]:
    """Yield the texts in parameters that stand under a name that suggests a secret."""
    if isinstance(value, str) and secret:
        yield value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _of_parameters(each, secret or is_secret_name(name))
    elif isinstance(value, list):
        for each in value:
            yield from _of_parameters(each, secret)


def _endpoints() -> list[str]:
    """Return the URLs of OTLP receivers and proxies that the environment names."""
    return [
        value for name, value in os.environ.items()
        if value and ((name.startswith("OTEL_EXPORTER_OTLP") and name.endswith("ENDPOINT")) or name.lower() in _PROXIES)
    ]  # fmt: skip


_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def _otlp_headers() -> dict[str, str]:
    """Return the headers that the environment has for OTLP."""
    found: dict[str, str] = {}
    for name, value in os.environ.items():
        if name.startswith("OTEL_EXPORTER_OTLP") and name.endswith("HEADERS"):
            pairs = (item.partition("=") for item in value.split(","))
            found |= {key.strip(): text.strip() for key, _, text in pairs}
    return found


def _forms(text: str) -> set[str]:
    """Return a text as it stands in a message, and inside JSON."""
    return {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], text.replace("/", "\\/")}


def _parts_of(content: Content) -> Iterator[bytes]:
    for before, after in content.around:
        yield from (before, after)
    for _, part in content.parts:
        yield part


def _redact_body(body: bytes) -> bytes:
    try:
        return msgspec.json.encode(redact(msgspec.json.decode(body, type=dict)))
    except msgspec.MsgspecError:
        return body

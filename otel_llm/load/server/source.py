"""Where a server's metrics are: what is known before anybody looks."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

__all__ = ["NVML", "Source"]

NVML: Final = "nvml"
"""The source that is no page: the GPUs of this machine, as NVIDIA's driver has them."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where metrics are. urls: the first of them that is a page of metrics is the one; headers: go with each request"""

    urls: Sequence[str]
    headers: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None

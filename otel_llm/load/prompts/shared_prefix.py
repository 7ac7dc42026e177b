"""Prompts in groups: those of a group begin with the same text, so that a prefix cache can answer a known share."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from otel_llm.errors import ConfigError
from otel_llm.load.asked import Asked, Lengths
from otel_llm.load.prompts.token_lengths import MOST
from otel_llm.units import parse_share

__all__ = ["InGroups", "SharedPrefix", "parse_shared_prefix"]


@dataclass(frozen=True, slots=True)
class SharedPrefix:
    """How many groups, and what a group's prompts share: so many tokens, or such a share of each; the other is None."""

    groups: int
    tokens: int | None
    share: float | None


def parse_shared_prefix(items: Sequence[str]) -> SharedPrefix:
    """Return what `groups=8 tokens=1024` or `groups=8 share=0.6` says; one group where none is said.

    Raises ConfigError for anything else.
    """
    said = dict[str, str](item.partition("=")[::2] for item in items)
    try:
        groups = int(said.pop("groups", "1"))
        tokens = int(said.pop("tokens")) if "tokens" in said else None
        share = parse_share(said.pop("share")) if "share" in said else None
    except ValueError:
        groups, tokens, share = 0, None, None
    one = (tokens is None) != (share is None)
    within = 1 <= groups <= MOST and 1 <= (tokens or 1) <= MOST and 0 < (0.5 if share is None else share) < 1
    if said or not one or not within or tokens == 0:
        raise ConfigError(
            "--shared-prefix groups=N with tokens=N or share=SHARE", " ".join(items), "a share is above 0 and below 1"
        )
    return SharedPrefix(groups, tokens, share)


@dataclass(frozen=True, slots=True)
class InGroups(Lengths):
    """Lengths of prompts whose beginnings are shared: request i belongs to group i modulo the number of groups."""

    lengths: Lengths
    prefix: SharedPrefix
    salt: str

    def __len__(self) -> int:
        return len(self.lengths)

    def asked(self, index: int) -> Asked:
        asked, prefix = self.lengths.asked(index), self.prefix
        total = asked.input_tokens or 0
        shared = round(total * prefix.share) if prefix.share is not None else min(prefix.tokens or 0, total)
        if not shared:
            return asked
        digest = blake2b(f"{self.salt} group {index % prefix.groups}".encode(), digest_size=6).digest()
        return asked._replace(blocks=(int.from_bytes(digest),), block_tokens=shared)

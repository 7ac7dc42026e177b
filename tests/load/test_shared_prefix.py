"""Prompts that begin alike in groups, what a prefix cache makes of them, and the share that the report states."""

import json
import sqlite3
from collections.abc import Callable

import pytest

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.shared_prefix import SharedPrefix, parse_shared_prefix
from otel_llm.sim import Behaviour, SimServer
from otel_llm.sim.prefix_cache import PrefixCache
from tests.load.conftest import Perf

Run = Callable[..., Perf]


def prompts(run: Perf) -> list[list[str]]:
    """Return the words of each prompt, in the order of their numbers."""
    found = sqlite3.connect(run.run_file).execute("SELECT request FROM result ORDER BY request_index").fetchall()
    return [json.loads(body)["messages"][0]["content"].split(" ") for (body,) in found]


def test_groups_begin_alike_and_the_server_counts_what_was_possible(perf: Run) -> None:
    """Of 24 requests in 4 groups the first of each finds nothing: 20 have 64 of their 100 tokens cached."""
    asked = ["--input-tokens", "100", "--output-tokens", "2", "--shared-prefix", "groups=4", "tokens=64", "-n", "24"]
    with SimServer(Behaviour(cache_block=16)) as sim:
        run = perf("--url", sim.url, "--model", "m", *asked)
        cached = sum(row["cached_tokens"] for row in sim.log)
        again = perf("--url", sim.url, "--model", "m", *asked, "--workers", "2", "--parallel", "4")
        other = perf("--url", sim.url, "--model", "m", *asked, "--cache-bust")
    made = prompts(run)
    assert [len({tuple(words[:64]) for words in made[group::4]}) for group in range(4)] == [1, 1, 1, 1]
    assert len({tuple(words[:64]) for words in made}) == 4
    assert len({tuple(words[64:80]) for words in made}) == 24
    assert cached == 20 * 64
    share = pytest.approx(20 * 64 / 2400)
    assert run.report["lengths"]["cached"] == {"possible": share, "said": share}
    assert made == prompts(again)
    assert again.report["lengths"]["cached"]["said"] > 0.9, "the whole prompts were cached by the run before"
    assert other.report["lengths"]["cached"] == {"possible": share, "said": share}


def test_a_share_of_each_prompt_is_shared_and_a_warm_up_primes_it(perf: Run) -> None:
    with SimServer(Behaviour(cache_block=1)) as sim:
        asked = ["--input-tokens", "uniform:50..150", "--shared-prefix", "groups=2", "share=0.6", "--seed", "3"]
        run = perf("--url", sim.url, "--model", "m", *asked, "-n", "40", "--warmup", "20")
    cached = run.report["lengths"]["cached"]
    assert cached["said"] == pytest.approx(0.6, abs=0.05)
    assert cached["possible"] < cached["said"]


def test_a_server_without_a_word_of_its_cache_is_said_to_be_one(perf: Run) -> None:
    with SimServer(Behaviour()) as sim:
        run = perf("--url", sim.url, "--model", "m", "--input-tokens", "9", "--shared-prefix", "tokens=4", "-n", "3")
    assert run.report["lengths"]["cached"] == {"possible": pytest.approx(8 / 27), "said": None}
    assert "29.6% of their tokens had been sent before, the server does not say" in run.out


@pytest.mark.parametrize(
    ("items", "parsed"),
    [
        (["groups=8", "tokens=1024"], SharedPrefix(8, 1024, None)),
        (["share=0.6"], SharedPrefix(1, None, 0.6)),
        (["share=60%"], SharedPrefix(1, None, 0.6)),
    ],
)
def test_a_shared_prefix_is_stated_in_tokens_or_as_a_share(items: list[str], parsed: SharedPrefix) -> None:
    assert parse_shared_prefix(items) == parsed


@pytest.mark.parametrize(
    "items",
    [
        ["groups=8"], ["tokens=0"], ["tokens=5", "share=0.5"], ["share=1"], ["share=0"], ["share=nan"],
        ["groups=0", "share=0.5"], ["tokens"], ["tokens=5", "size=3"],
    ],
)  # fmt: skip
def test_what_is_no_shared_prefix_is_one_line(items: list[str]) -> None:
    with pytest.raises(ConfigError, match="expected --shared-prefix groups=N with tokens=N or share=SHARE, got"):
        parse_shared_prefix(items)


# -- the cache of the simulated server ----------------------------------------------------------------------------


def words(text: str) -> list[str]:
    return list(text)


@pytest.mark.parametrize(
    ("before", "prompt", "cached"),
    [
        ([], "abcdefgh", 0),
        (["abcdefgh"], "abcdxxxx", 4),
        (["abcdefgh"], "abcdefghi", 8),
        (["abcdefgh"], "abcdefgh", 4),  # the last token is computed again, and so is its block
        (["abcdefgh"], "xbcdefgh", 0),
        (["abcdefgh"], "efghabcd", 0),  # a block is known by what stands before it
        (["abc"], "abcd", 0),  # no whole block
        (["abcd"], "", 0),
        (["abcdefgh", "abcdxxxxyyyy"], "abcdxxxxyyyyz", 12),
    ],
)
def test_whole_blocks_are_cached_by_all_that_is_before_them(before: list[str], prompt: str, cached: int) -> None:
    cache = PrefixCache(4)
    for each in before:
        cache.take(words(each))
    assert cache.take(words(prompt)) == cached


def test_a_full_cache_gives_up_what_was_used_longest_ago_from_the_end() -> None:
    cache = PrefixCache(2, size=3)
    cache.take(words("aabbcc"))
    assert len(cache) == 3
    cache.take(words("xx"))
    assert cache.take(words("aabbccd")) == 4, "its last block went first"


@pytest.mark.parametrize("knob", ["cache_block=8", "cache_size=3"])
def test_the_cache_is_the_servers_own(perf: Run, knob: str) -> None:
    with SimServer(Behaviour(cache_block=16)) as sim:
        run = perf("--url", f"{sim.url}/x/{knob}/v1/chat/completions", "--model", "m", "--prompt", "x")
    assert "as an option of the server" in run.report["error_samples"]["400"]

"""Text of exactly so many tokens, by tokenizers of every kind, and the lengths that are drawn for it."""

import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist, fmean, pstdev

import pytest

from otel_llm.errors import ConfigError
from otel_llm.load.prompts.token_lengths import parse_lengths
from otel_llm.load.prompts.token_text import TokenText
from otel_llm.load.prompts.tokenizers import load_tokenizer
from tests.load.tokenizers_made import byte_level, bytes_alone, metaspace


@pytest.mark.parametrize("kind", [byte_level, metaspace, bytes_alone])
def test_a_text_has_exactly_so_many_tokens(kind: Callable[[Path], Path], tmp_path: Path) -> None:
    tokenizer = load_tokenizer(kind(tmp_path / "tokenizer.json"))
    text = TokenText(tokenizer)
    assert not text.notes
    for tokens in (1, 2, 3, 17, 200, 1023):
        made = text.whole(text.own("key", tokens), tokens, "key")
        assert tokenizer.count(made) == tokens
        assert made == made.strip(), "a chat template strips spaces at both ends"


def test_shared_blocks_stand_at_the_front_whatever_comes_behind(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(bytes_alone(tmp_path / "tokenizer.json"))
    for text in (TokenText(None), TokenText(tokenizer)):
        shared = text.own("block 7", 16)
        first, second = (text.whole(shared + text.own(key, 300), 316, key) for key in ("a", "b"))
        assert first != second
        assert first.startswith(shared[1:])
        assert second.startswith(shared[1:])
        assert text.own("block 7", 16).startswith(text.own("block 7", 5))


def test_a_key_gives_the_same_text_in_every_process() -> None:
    text = TokenText(None)
    assert text.own("a", 50) == pickle.loads(pickle.dumps(text)).own("a", 50)  # noqa: S301  # ours
    assert text.own("block 1", 12) == " bright into why by number and stone to and holds baker because", (
        "a replay elsewhere would share nothing with this one"
    )
    assert len({text.own(str(key), 12) for key in range(500)}) == 500


def test_a_length_that_no_text_can_have_is_said(tmp_path: Path) -> None:
    class Pairs:
        def count(self, text: str) -> int:
            return 2 * len(text)

    with pytest.raises(ConfigError, match="expected a text of 5 tokens by this tokenizer, got 0; take a length nearby"):
        TokenText(Pairs()).whole(" where", 5, "key")


@pytest.mark.parametrize(
    ("said", "mean", "sd"),
    [("normal:500,100", 500, 100), ("lognormal:500,250", 500, 250), ("uniform:100..300", 200, 201 / 12**0.5)],
)
def test_drawn_lengths_have_the_mean_and_the_deviation_that_were_stated(said: str, mean: float, sd: float) -> None:
    drawn = [parse_lengths("--input-tokens", said).draw(1, "input", index) for index in range(20_000)]
    assert fmean(drawn) == pytest.approx(mean, rel=0.01)
    assert pstdev(drawn) == pytest.approx(sd, rel=0.03)


def test_normal_lengths_follow_the_law() -> None:
    """Kolmogorov-Smirnov at 0.1 %: 1.95 / sqrt(n), and half a token for rounding."""
    lengths, law = parse_lengths("--input-tokens", "normal:5000,1000"), NormalDist(5000, 1000)
    drawn = sorted(lengths.draw(3, index) for index in range(10_000))
    far = max(abs((rank + 0.5) / 10_000 - law.cdf(value)) for rank, value in enumerate(drawn))
    assert far < 1.95 / 100 + 0.0005
    assert drawn != sorted(lengths.draw(4, index) for index in range(10_000))


def test_no_length_is_below_a_token() -> None:
    assert min(parse_lengths("--output-tokens", "normal:2,5").draw(index) for index in range(100)) == 1
    assert parse_lengths("--output-tokens", "7").draw("any") == 7


@pytest.mark.parametrize("text", ['{"10": 1, "20": 3.0}', "tokens,weight\n10,1\n20,3\n", "10 0.25\n\n20 0.75"])
def test_a_histogram_is_read_as_json_or_lines(tmp_path: Path, text: str) -> None:
    file = tmp_path / "lengths"
    file.write_text(text)
    lengths = parse_lengths("--input-tokens", f"histogram:{file}")
    counted = Counter(lengths.draw(index) for index in range(4000))
    assert set(counted) == {10, 20}
    assert counted[20] / 4000 == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize(
    "said",
    ["0", "-3", "many", "normal:5", "normal:0,1", "uniform:9..3", "uniform:1,3", "gamma:1,2", "1e3", "normal:nan,1"],
)
def test_what_is_no_length_is_one_line(said: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^expected --input-tokens as N, normal:MEAN,SD, .*; lengths are 1 to"
    ) as error:
        parse_lengths("--input-tokens", said)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10,1\n20,-1", r"at .*file:2, got "),
        ("10,1\nwide", r"expected LENGTH,WEIGHT at .*file:2, got 'wide'"),
        ("10,0", r"expected lengths with weights above 0 in .*file, got 'none'"),
        ('{"a": 1}', r"a length of 1 or more tokens with its weight at .*file, 'a'"),
        ('{"1": "x"}', r"a JSON object of lengths and weights in .*file"),
    ],
)
def test_a_histogram_that_is_none_names_file_and_row(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(ConfigError, match=message):
        parse_lengths("--input-tokens", f"histogram:{tmp_path / 'file'}")
    with pytest.raises(ConfigError, match="give a readable text file"):
        parse_lengths("--input-tokens", f"histogram:{tmp_path / 'none'}")

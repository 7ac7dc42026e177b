"""Make the conversations of a run, from recorded ones or from single prompts, before the first request is sent."""

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice, repeat
from random import Random
from typing import Any, Final

from otel_llm.errors import ConfigError
from otel_llm.load.plan.conversations import GivenConversation, Turn
from otel_llm.load.prompts.datasets import as_messages
from otel_llm.load.prompts.lazy import Form, MadePrompts
from otel_llm.load.prompts.recorded import RecordedTurn, turns_of
from otel_llm.load.prompts.token_lengths import parse_lengths
from otel_llm.wire.protocol import Protocol

__all__ = ["check_turns", "conversations_of", "turns_taken"]

Messages = Sequence[Mapping[str, Any]]

_ALL: Final = "all"
_MOST: Final = 10_000
_DRAWN: Final = 1_000
"""Conversations that are made of few prompts, so that their lengths differ: later ones repeat them."""


def check_turns(args: Namespace, protocol: type[Protocol]) -> None:
    """Raise ConfigError for options that ask for no conversation, or for one that the protocol cannot hold."""
    if args.turns is None:
        if args.recorded_answers:
            raise ConfigError("--turns together with --recorded-answers", "--recorded-answers alone")
        return
    _bounds(args.turns)
    if not protocol.conversations:
        raise ConfigError("a protocol of conversations with --turns", protocol.name or "a parser", "go without --turns")
    if args.parser is not None:
        raise ConfigError("either --parser or --turns", f"--parser {args.parser} --turns {args.turns}")


def conversations_of(
    prompts: Sequence[Messages] | MadePrompts, args: Namespace, form: Form
) -> tuple[GivenConversation, ...]:
    """Return the conversations of one pass over the prompts, at most `--number`.

    A prompt that was recorded with what followed is a conversation, of which so many turns are taken as `--turns` says
    at most. Any other is what a user says in one turn, and the prompts after it are the turns that follow.

    Raises ConfigError for `--turns all` and for `--recorded-answers` where nothing is recorded.
    """
    bounds, lengths = _bounds(args.turns), turns_taken(args.turns, args.seed)
    make = _Maker(args, form)
    if not isinstance(prompts, MadePrompts):
        recorded = [turns_of(prompt) for prompt in prompts]
        if any(len(turns) > 1 for turns in recorded):
            return tuple(make.conversation(turns[:most]) for turns, most in zip(recorded, lengths, strict=False))
    if bounds is None or args.recorded_answers:
        given = f"--turns {args.turns}" if bounds is None else "--recorded-answers"
        raise ConfigError(f"recorded conversations with {given}", "prompts without answers", "give --turns N alone")
    return tuple(map(make.conversation, islice(_joined(prompts, lengths, args), args.number)))


def turns_taken(text: str, seed: int) -> Iterator[int]:
    """Yield how many turns `--turns` takes of each conversation at most. Raises ConfigError when it says nothing."""
    dice, bounds = Random(seed), _bounds(text)  # noqa: S311  # nothing here is a secret
    return (dice.randint(*bounds) for _ in count()) if bounds else repeat(_MOST)


def _joined(
    prompts: Sequence[Messages] | MadePrompts, lengths: Iterator[int], args: Namespace
) -> Iterator[list[RecordedTurn]]:
    """Yield conversations of single prompts, until each that was given was used once; so many at least."""
    made, used = 0, 0
    given = 0 if isinstance(prompts, MadePrompts) else len(prompts)
    least = 1 if given and args.number is None and args.duration is None else _DRAWN
    while used < given or made < least:
        most = next(lengths)
        yield [RecordedTurn(_prompt(prompts, used + turn), None) for turn in range(most)]
        used, made = used + most, made + 1


def _prompt(prompts: Sequence[Messages] | MadePrompts, index: int) -> Messages:
    if isinstance(prompts, MadePrompts):
        return as_messages(prompts.prompt(index, prompts.asked(index)))
    return prompts[index % len(prompts)]


class _Maker:
    """Makes conversations of turns, each answer as long as `--output-tokens` says."""

    def __init__(self, args: Namespace, form: Form) -> None:
        self._args, self._form = args, form
        self._lengths = parse_lengths("--output-tokens", args.output_tokens) if args.output_tokens else None
        self._conversations, self._requests = count(), count()

    def conversation(self, turns: Sequence[RecordedTurn]) -> GivenConversation:
        made = [self._turn(turn) for turn in turns]
        first = made[0]
        ask = self._form.ask(first.messages, first.output_tokens, next(self._conversations))
        return GivenConversation(ask, tuple(made[1:]), first.output_tokens)

    def _turn(self, turn: RecordedTurn) -> Turn:
        length = self._output_tokens()
        answer = turn.answer if _is_kept(turn, self._args) else None
        return Turn(turn.messages, answer, self._form.parameters_of(length), length)

    def _output_tokens(self) -> int | None:
        number = next(self._requests)
        return None if self._lengths is None else self._lengths.draw(self._args.seed, "output", number)


def _is_kept(turn: RecordedTurn, args: Namespace) -> bool:
    """Return whether the answer before a turn is the recorded one: a tool's result belongs to the call that made it."""
    return args.recorded_answers or any(message.get("role") == "tool" for message in turn.messages)


def _bounds(text: str) -> tuple[int, int] | None:
    """Return the least and the most turns; None for all that are recorded. Raises ConfigError for anything else."""
    if text == _ALL:
        return None
    low, _, high = text.removeprefix("uniform:").partition("..")
    try:
        least, most = int(low), int(high or low)
    except ValueError:
        least, most = 0, 0
    if not 1 <= least <= most <= _MOST or text.startswith("uniform:") != bool(high):
        raise ConfigError(f"--turns N, uniform:A..B or {_ALL}, from 1 to {_MOST:,} turns", text)
    return least, most

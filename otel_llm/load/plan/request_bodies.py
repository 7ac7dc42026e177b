"""Make the requests of a run from a prompt, a dataset or a parser, or to lengths that were asked for."""

import itertools
from argparse import Namespace
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from otel_llm.entry_points import installed
from otel_llm.errors import ConfigError
from otel_llm.load.asked import Lengths
from otel_llm.load.figures.counting import Counts
from otel_llm.load.plan.cachebust import MARK, draw_salt, mark_body
from otel_llm.load.plan.conversations import Conversations
from otel_llm.load.plan.option_values import parse_key_values
from otel_llm.load.plan.requested import ByTokenizer, Requests
from otel_llm.load.plan.sessions import check_turns, conversations_of
from otel_llm.load.prompts.datasets import DATASETS, Dataset, as_messages, open_dataset
from otel_llm.load.prompts.formats import format_of
from otel_llm.load.prompts.lazy import DrawnLengths, Form, GivenPrompts, MadePrompts
from otel_llm.load.prompts.media import Supply, parse_audio, parse_images, parse_video
from otel_llm.load.prompts.parsers import Source, open_parser
from otel_llm.load.prompts.parsers.named import NAMED
from otel_llm.load.prompts.recorded import Opening
from otel_llm.load.prompts.shared_prefix import InGroups, parse_shared_prefix
from otel_llm.load.prompts.token_lengths import parse_lengths
from otel_llm.load.prompts.token_text import TokenText
from otel_llm.load.prompts.tokenizers import Tokenizer, load_tokenizer
from otel_llm.wire.protocol import Ask, Protocol, WireRequest

__all__ = ["requests_of"]

Messages = Sequence[Mapping[str, Any]]

_MEDIA: Final = (("images", "image", parse_images), ("audio", "audio", parse_audio), ("video", "video", parse_video))
"""Options, the kinds of media that they send, and what reads them."""
_MADE: Final = 1000
"""Prompts of --input-tokens, where nothing says how many."""


def requests_of(
    args: Namespace, protocol: type[Protocol], prompt: str | None, parameters: Mapping[str, Any], most: int | None
) -> Requests:
    """Return the requests that the options ask for, at most so many; None: one pass of the prompts.

    Raises ConfigError or PluginError when the prompt, the dataset, the parser or the tokenizer cannot be used.
    """
    _check_lengths(args, protocol, prompt)
    check_turns(args, protocol)
    if args.parser is not None:
        source = Source(
            model=args.model,
            prompt=prompt,
            dataset=args.dataset,
            min_length=args.min_prompt_length,
            max_length=args.max_prompt_length,
            parameters=parameters,
        )
        parser = open_parser(args.parser, source, args.tokenizer_path)
        mark = mark_body if args.cache_bust else dict
        bodies = (mark(body) for body in itertools.islice(parser.bodies(), args.number))
        counter: Counts = parser
        if args.tokenizer_path and args.parser in NAMED:  # the server's usage is compared with it
            counter = ByTokenizer(protocol, load_tokenizer(args.tokenizer_path))
        return Requests(tuple(WireRequest(msgspec.json.encode(body)) for body in bodies), counter)
    tokenizer = load_tokenizer(args.tokenizer_path) if args.tokenizer_path else None
    counts = None if tokenizer is None else ByTokenizer(protocol, tokenizer)
    media = _media(args, protocol, _MADE if most is None else most)
    form = Form(
        protocol=protocol, model=args.model, stream=not args.no_stream, parameters=parameters, media=media,
        tokenizer=tokenizer,
    )  # fmt: skip
    if args.input_tokens is not None:
        made = _made(args, form, tokenizer, most)
        notes = made.text.notes
        return _conversations(made, args, form, counts, notes) if args.turns else Requests(made, counts, notes)
    if args.turns is not None:
        return _conversations(list(_messages(args, prompt)), args, form, counts)
    prompts = [_mark_first(m) if args.cache_bust else m for m in _messages(args, prompt)]
    encoded = (_encoded(protocol, number + 1, form.ask(said, None, number)) for number, said in enumerate(prompts))
    if (args.output_tokens is None and not media) or not prompts:
        return Requests(tuple(encoded), counts)
    deque(encoded, maxlen=0)  # what cannot be sent is better known now; each is made again when it is sent
    outputs = None if args.output_tokens is None else parse_lengths("--output-tokens", args.output_tokens)
    lengths = DrawnLengths(None, outputs, args.seed, most or len(prompts))
    return Requests(GivenPrompts(form, prompts, lengths), counts)


def _media(args: Namespace, protocol: type[Protocol], prompts: int) -> Sequence[Supply]:
    """Return what goes with the prompts. Raises ConfigError where the protocol does not take it."""
    found = list[Supply]()
    for option, kind, parse in _MEDIA:
        if (text := getattr(args, option)) is not None:
            if kind not in protocol.media:
                raise ConfigError(f"a protocol that takes --{option}", protocol.name)
            more = {"samples_per_s": protocol.samples_per_s} if kind == "audio" else {}
            found.append(parse(text, args.seed, prompts, **more))
        elif kind == protocol.needs:
            raise ConfigError(
                f"--{option} with {protocol.name}", "none", "give a length, such as 5s, a file or a folder"
            )
    return found


def _conversations(
    prompts: Sequence[Messages] | MadePrompts, args: Namespace, form: Form, counts: Counts | None,
    notes: tuple[str, ...] = (),
) -> Requests:  # fmt: skip
    each = conversations_of(prompts, args, form)
    if args.cache_bust:
        each = tuple(replace(one, ask=replace(one.ask, messages=_mark_first(one.ask.messages))) for one in each)
    for number, one in enumerate(each, 1):
        _encoded(form.protocol, number, one.last_ask())  # what the protocol cannot say is better known now
    first = tuple(_encoded(form.protocol, number, one.ask) for number, one in enumerate(each, 1))
    return Requests(first, counts, notes, Conversations(each))


def _check_lengths(args: Namespace, protocol: type[Protocol], prompt: str | None) -> None:
    """Raise ConfigError where lengths are asked for beside what has its own, or that the protocol cannot ask for."""
    for option in ("input_tokens", "output_tokens", *(option for option, *_ in _MEDIA)):
        if getattr(args, option) is not None and args.parser is not None:
            raise ConfigError(
                f"either --{option.replace('_', '-')} or --parser", "both", "a parser builds its own requests"
            )
    if args.input_tokens is not None and (prompt is not None or args.dataset is not None):
        raise ConfigError("either --input-tokens or a prompt", "both", "go without --prompt and --dataset")
    if args.shared_prefix is not None and args.input_tokens is None:
        raise ConfigError("--input-tokens LENGTHS with --shared-prefix", next_step="say how long the prompts are")
    if args.output_tokens is not None and not protocol.answer_length(1):
        raise ConfigError("a protocol that can ask for --output-tokens", protocol.name, "say it with --parameters")


def _made(args: Namespace, form: Form, tokenizer: Tokenizer | None, most: int | None) -> MadePrompts:
    """Return prompts of the lengths of --input-tokens. Raises ConfigError when the tokenizer allows of none such."""
    inputs = parse_lengths("--input-tokens", args.input_tokens)
    outputs = None if args.output_tokens is None else parse_lengths("--output-tokens", args.output_tokens)
    salt = draw_salt(args.cache_bust) or str(args.seed)
    lengths: Lengths = DrawnLengths(inputs, outputs, args.seed, most or _MADE)
    if args.shared_prefix is not None:
        lengths = InGroups(lengths, parse_shared_prefix(args.shared_prefix), salt)
    made = MadePrompts(form, lengths, TokenText(tokenizer), salt)
    made.make(0)
    return made


def _encoded(protocol: type[Protocol], number: int, ask: Ask) -> WireRequest:
    """Return the request for a prompt. Raises ConfigError with its number when the protocol cannot say it."""
    try:
        return protocol.encode(ask)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ConfigError(
            f"a prompt that {protocol.name} can send, as number {number}", f"one without {error}",
            "give text, or messages with role and content",
        ) from error  # fmt: skip


def _messages(args: Namespace, prompt: str | None) -> Iterator[Messages]:
    if prompt is not None:
        yield as_messages(prompt)
        return
    if args.dataset is None:
        raise ConfigError("something to ask", next_step="give --prompt TEXT, --prompt @FILE or --dataset")
    for item in itertools.islice(_dataset(args), args.number):
        yield item if isinstance(item, Opening) else as_messages(item)


def _mark_first(messages: Messages) -> Messages:
    """Return the messages with the mark of `cachebust` at the start of the first."""
    first, *rest = messages
    if not isinstance(text := first.get("content"), str):
        raise ConfigError("a first message of text for --cache-bust", type(text).__name__, "go without it")
    return ({**first, "content": f"{MARK} {text}"}, *rest)


def _dataset(args: Namespace) -> Dataset:
    """Return the dataset that --dataset-format names, or that --dataset names, or that suits the kind of file."""
    path: str | None = args.dataset
    name = args.dataset_format
    if name is None and args.dataset in installed(DATASETS) and not Path(args.dataset).exists():
        name, path = args.dataset, None
    elif name is None:
        name = format_of(Path(args.dataset).expanduser())
    options = parse_key_values("--dataset-options", args.dataset_options, typed=False)
    return open_dataset(
        name,
        path,
        seed=args.seed,
        min_length=args.min_prompt_length,
        max_length=args.max_prompt_length,
        options=options,
    )

"""A small vocabulary of English words, which most tokenizers have as one token each."""

from typing import Final

__all__ = ["WORDS"]

_VOCABULARY: Final = (
    "the a this that each some every no one two river stone garden letter window morning engine paper bridge harbour "
    "child doctor painter baker winter summer music number answer question story colour metal water fire light shadow "
    "small large quiet bright old new slow quick warm cold open closed near far under over between behind before after "
    "sees holds opens turns carries finds keeps gives takes builds reads writes counts measures compares explains asks "
    "and or but because while until where when how why which with without into from to of in on at by for as"
)
WORDS: Final = tuple(_VOCABULARY.split())

"""What an answer states about itself."""

import msgspec

__all__ = ["Said"]


class Said(msgspec.Struct, array_like=True):
    """Facts that a server puts into its answer, as far as it has been read. Token counts are totals so far.

    All but `error` have the names that they have in `StreamRecord`, which takes them (`StreamObservation.take`).

    error: (type, message) that the server reports inside an answer that began well
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    finish_reasons: tuple[str, ...] = ()
    response_model: str | None = None
    response_id: str | None = None
    error: tuple[str, str] | None = None

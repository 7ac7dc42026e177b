"""Image generation: each token of other protocols is an image on the way, and the last one comes again as the whole."""

from typing import Final

from otel_llm.sim.formats.format import Format, Json

__all__ = ["Images"]

_DOT: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
"""A PNG of one pixel."""


class Images(Format):
    """`/v1/images/generations`."""

    prompt = "prompt"
    limits = ("partial_images",)
    named = True
    counts = True

    def piece(self, text: str, *, thought: bool, so_far: int, finish: str | None) -> list[Json]:
        return [self._image("partial_image", partial_image_index=so_far - 1)]

    def closing(self, tokens: int, finish: str) -> list[Json]:
        return [self._image("completed", **self._usage())]

    def body(self, text: str, thought: str, tokens: int, finish: str) -> Json:
        return {"created": self.created, "data": [{"b64_json": _DOT}], **self._usage()}

    def _image(self, kind: str, **more: object) -> Json:
        drawn = {"background": "opaque", "output_format": "png", "quality": "low", "size": "1024x1024"}
        return {"type": f"image_generation.{kind}", "b64_json": _DOT, "created_at": self.created, **drawn, **more}

    def _usage(self) -> Json:
        asked, made = self.prompt_tokens, self.count(272)
        details = {"text_tokens": asked, "image_tokens": 0}
        counts = {"input_tokens": asked, "input_tokens_details": details, "output_tokens": made}
        return {"usage": {**counts, "total_tokens": asked + made}} if self.states_usage else {}

    def failure(self, message: str) -> Json:
        return {"type": "error", **super().failure(message)}

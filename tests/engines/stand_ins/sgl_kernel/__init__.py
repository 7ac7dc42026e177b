"""In the place of the compiled functions of SGLang, which no package has for a CPU: imported by it, and not called."""

from typing import NoReturn


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)

    def absent(*_: object, **__: object) -> NoReturn:
        raise NotImplementedError(f"sgl_kernel.{name}")

    return absent

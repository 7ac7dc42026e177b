"""What the tests of the boards need of the real parts."""

from tests.real.conftest import real_program

__all__ = ["real_program"]

"""The one error a person sees from here: what was expected, what was there, and what to do next."""


class ToolsError(Exception):
    """Ends a command with exit code 1 and one line."""

    def __init__(self, expected: str, got: str, next_step: str) -> None:
        super().__init__(f"expected {expected}, got {got}; next step: {next_step}")

"""A server's words on a terminal: what would move the cursor, ring the bell or forge a line is shown, not done."""

__all__ = ["visible"]


def visible(text: str) -> str:
    """Return the text in one line, with everything that is not printable as an escape.

    >>> visible("red: \\x1b[31m")
    'red: \\\\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)

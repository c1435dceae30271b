"""Names from anywhere in, text out that a terminal shows as it stands."""

import unicodedata


def shown(text: str) -> str:
    r"""The text with what would steer a terminal, or can't be encoded, written as \x1b or \udc80."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def columns(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(_columns(one) for one in text)


def padded(text: str, width: int) -> str:
    """The text with spaces up to `width` columns."""
    return text + " " * (width - columns(text))


def _columns(one: str) -> int:
    if unicodedata.combining(one):
        return 0
    return 2 if unicodedata.east_asian_width(one) in {"W", "F"} else 1

"""The JSON that a page shows and the one that a command gave in; whether they agree out."""

import json

from tests.docs.markdown import Block

REST = "..."  # a value, a key or the end of a text that the page leaves out
_WIDTH = 110
_VARIES = {"request_id", "uptime_seconds", "engine"}  # from call to call, or from CPU to CPU
_TOLERANCE = 1e-3  # of confidences, which differ in their last digits with the machine


def cut(given: object, shown: object, name: str = "") -> object:
    """What was given, without what the page leaves out, and as the page has it where it varies."""
    if shown == REST or (name in _VARIES and type(shown) is type(given)):
        return shown
    if isinstance(given, str) and isinstance(shown, str) and shown.endswith(REST):
        return shown if given.startswith(shown.removesuffix(REST)) else given
    if isinstance(given, dict) and isinstance(shown, dict):
        kept = given.keys() & shown.keys() if REST in shown else given.keys()
        order = [key for key in shown if key in kept or key == REST]
        order += [key for key in given if key in kept and key not in shown]
        return {key: cut(given.get(key), shown.get(key), key) for key in order}
    if isinstance(given, list) and isinstance(shown, list):
        rest = shown[-1:] == [REST]
        count = len(shown) - 1 if rest else len(given)
        template = [*shown, *[None] * count]
        return [*(cut(one, like) for one, like in zip(given[:count], template, strict=False)), *[REST] * rest]
    return given


def agree(given: object, shown: object) -> bool:
    """Whether they are the same but for the last digits of numbers."""
    if isinstance(given, dict) and isinstance(shown, dict):
        return given.keys() == shown.keys() and all(agree(given[key], shown[key]) for key in given)
    if isinstance(given, list) and isinstance(shown, list):
        return len(given) == len(shown) and all(map(agree, given, shown))
    if isinstance(given, float) and isinstance(shown, int | float):
        return abs(given - shown) <= _TOLERANCE
    return type(given) is type(shown) and bool(given == shown)


def write(block: Block, answer: object) -> None:
    """Put the answer in the block's place."""
    text = block.page.read_text(encoding="utf-8")
    old, new = (f"```json\n{shown}\n```" for shown in (block.text, _layout(answer)))
    block.page.write_text(text.replace(old, new, 1), encoding="utf-8")


def _layout(value: object, margin: int = 0) -> str:
    """JSON, in a line where it fits, else an item a line."""
    line = json.dumps(value, ensure_ascii=False)
    if margin + len(line) <= _WIDTH or not isinstance(value, dict | list) or not value:
        return line
    inside = margin + 1
    if isinstance(value, dict):
        items = [
            f"{json.dumps(key, ensure_ascii=False)}: {_layout(one, inside)}" for key, one in value.items()
        ]
        return "{" + f",\n{' ' * inside}".join(items) + "}"
    items = [_layout(one, inside) for one in value]
    return f"[\n{' ' * inside}" + f",\n{' ' * inside}".join(items) + "]"

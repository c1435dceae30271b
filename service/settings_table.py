"""`python -m service.settings_table`: every setting as a table in Markdown, from the settings themselves.

With --into, the table replaces what stands between the two marks in that file.
"""

import argparse
import html
import sys
from pathlib import Path
from typing import Any

from service.settings import PREFIX, Settings, shown_default

BEGIN, END = "<!-- begin: python -m service.settings_table -->", "<!-- end -->"
_HEAD = ("Variable", "Default", "Allowed", "What it is")
_KINDS = {"integer": "whole numbers", "number": "numbers", "boolean": "true, false", "string": "text"}


def main() -> int:
    """Print the table, or put it into a file; exit status 2 where that has no place for it."""
    arguments = _parse()
    if arguments.into is None:
        print(settings_table())
        return 0
    try:
        text = arguments.into.read_text(encoding="utf-8")
        arguments.into.write_text(insert(text, settings_table()), encoding="utf-8")
    except (OSError, ValueError) as error:
        print(f"settings_table: --into {arguments.into}: {error}", file=sys.stderr)
        return 2
    return 0


def settings_table() -> str:
    """A row a setting, in the order of their definition."""
    properties = Settings.model_json_schema()["properties"]
    rows = [_HEAD, tuple("---" for _ in _HEAD)]
    for name, field in Settings.model_fields.items():
        variable = f"`{PREFIX}{name.upper()}`"
        what = html.escape(field.description or "", quote=False)  # or <model> would be taken for a tag
        rows.append((variable, shown_default(field), _allowed(properties[name]), what))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def insert(text: str, table: str) -> str:
    """The text with the table between its marks.

    Raises:
        ValueError: it has no marks.
    """
    before, begin, rest = text.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(f"{END}\n")
    if not (begin and end):
        raise ValueError(f"put the lines {BEGIN} and {END} where the table is to be")
    return f"{before}{begin}{table}\n{end}{after}"


def _allowed(schema: dict[str, Any]) -> str:
    """What a JSON schema takes, in words."""
    if "anyOf" in schema:  # null stands for a variable that is not set
        (schema,) = (one for one in schema["anyOf"] if one["type"] != "null")
    if "enum" in schema:
        return ", ".join(schema["enum"])
    kind = "a path" if schema.get("format") == "path" else _KINDS[schema["type"]]
    bounds = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "up to"))
    return " ".join([kind, *(f"{word} {schema[name]:.15g}" for name, word in bounds if name in schema)])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m service.settings_table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--into", type=Path, metavar="FILE", help="file with the marks that the table goes between"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

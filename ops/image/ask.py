"""`python -m ops.image.ask URL PICTURE`: send a picture, print the answer; exit status 0 if that is 200."""

import sys
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

_SECONDS = 30


def main() -> int:
    """Ask once."""
    url, picture = sys.argv[1:]
    request = urllib.request.Request(url, data=Path(picture).read_bytes(), method="POST")  # noqa: S310 - ours
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            print(answer.read().decode())
    except HTTPError as error:
        print(f"{error.code}: {error.read().decode()}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Schemathesis's hooks: where the document asks for a picture, one is sent.

OpenAPI can only say "bytes", and arbitrary ones are rightly refused: without this, no classification would be
among the answers that are checked.
"""

import schemathesis
from hypothesis import strategies
from PIL import Image

from service.imaging import ACCEPTED_FORMATS
from tests.support import PICTURES, encode

with Image.open(PICTURES / "cat.png") as cat:
    _pictures = {name: encode(cat.convert("RGB"), name) for name in ACCEPTED_FORMATS}
schemathesis.openapi.format("binary", strategies.sampled_from(list(_pictures.values())))
for _name, _picture in _pictures.items():
    schemathesis.openapi.media_type(f"image/{_name.lower()}", strategies.just(_picture))


@schemathesis.hook
def filter_body(_context: schemathesis.HookContext, body: object) -> bool:
    """A field without a name is left out of what is sent: a form that is wrong by it alone arrives right."""
    return not (isinstance(body, dict) and "" in body)

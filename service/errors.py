"""One exception class per failure that a caller can cause or see; each knows its HTTP status and code."""

from typing import ClassVar


class ServiceError(Exception):
    """A failure with a message fit for the caller: what is wrong, what is allowed, what to do."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BodyError(ServiceError):
    """The request's body can't be read as a picture or as a form of pictures."""


class EmptyBody(BodyError):
    """Nothing was sent."""

    status = 400
    code = "empty_body"


class MalformedMultipart(BodyError):
    """A multipart body without a boundary, or one that breaks off."""

    status = 400
    code = "malformed_multipart"


class MissingFile(BodyError):
    """A form without the field that carries the picture."""

    status = 422
    code = "missing_file"


class TooManyImages(BodyError):
    """More pictures in one batch than the limit."""

    status = 422
    code = "too_many_images"


class BodyTooLarge(BodyError):
    """A body beyond the limit, by its Content-Length or by what has come."""

    status = 413
    code = "body_too_large"


class ImageError(ServiceError):
    """The bytes are not a picture that can be classified."""


class UnsupportedFormat(ImageError):
    """Not a picture, or in a format that is not accepted."""

    status = 415
    code = "unsupported_format"


class UndecodableImage(ImageError):
    """An accepted format whose content is broken."""

    status = 422
    code = "undecodable_image"


class BrokenHeader(UndecodableImage):
    """It breaks off, or is broken, before its pixels."""


class ImageTooLarge(ImageError):
    """More pixels, or a longer side, than the limits."""

    status = 422
    code = "image_too_large"


class HeavyImage(ImageError):
    """A picture that is to be decoded where it may take its time; no caller sees it."""


class Overloaded(ServiceError):
    """More work is waiting than can be done in time."""

    status = 503
    code = "overloaded"

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds


class BodyTimeout(BodyError):
    """A body that stops arriving."""

    status = 408
    code = "body_timeout"


class Unauthorized(ServiceError):
    """No API key, or a wrong one, where keys are set."""

    status = 401
    code = "unauthorized"


class UnknownModel(ServiceError):
    """No bundle of that name, or not in that version, is loaded."""

    status = 404
    code = "unknown_model"


class BundleError(ServiceError):
    """A bundle that can't be served: files missing or changed, another schema, wrong answers."""

    code = "bad_bundle"

"""One exception class per failure that a caller can cause or see; it knows its status, code and sentence."""

from typing import ClassVar


class ServiceError(Exception):
    """A failure with a message fit for the caller: what is wrong, what is allowed, what to do."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    # Said where the raiser knows nothing more exact; the HTTP document shows it as the example.
    sentence: ClassVar[str]

    def __init__(self, message: str | None = None) -> None:
        self.message = message or self.sentence
        super().__init__(self.message)


class InternalError(ServiceError):
    """Something of ours broke."""

    sentence = "something broke inside the service; its log has the details under this request id"


class BodyError(ServiceError):
    """The request's body can't be read as a picture or as a form of pictures."""


class EmptyBody(BodyError):
    """Nothing was sent."""

    status = 400
    code = "empty_body"
    sentence = "the body is empty: send a picture, bare or as the multipart field 'file'"


class MalformedMultipart(BodyError):
    """A multipart body without a boundary, or one that breaks off."""

    status = 400
    code = "malformed_multipart"
    sentence = "the multipart body breaks off before its last boundary: send it again"


class MissingFile(BodyError):
    """A form without the field that carries the picture."""

    status = 422
    code = "missing_file"


class UnexpectedField(BodyError):
    """A form with a field that the call does not know."""

    status = 422
    code = "unexpected_field"


class TooManyImages(BodyError):
    """More pictures in one batch than the limit."""

    status = 422
    code = "too_many_images"
    sentence = "several fields are named 'file': send one, or several to /classify/batch"


class BodyTooLarge(BodyError):
    """A body beyond the limit, by its Content-Length or by what has come."""

    status = 413
    code = "body_too_large"
    sentence = "the body is larger than 10000000 bytes (GLIMPSE_MAX_BODY_BYTES): send a smaller picture"


class ImageError(ServiceError):
    """The bytes are not a picture that can be classified."""


class UnsupportedFormat(ImageError):
    """Not a picture, or in a format that is not accepted."""

    status = 415
    code = "unsupported_format"
    sentence = "the data is not a picture in an accepted format: send one of JPEG, PNG, BMP, TIFF, WEBP, GIF"


class UndecodableImage(ImageError):
    """An accepted format whose content is broken."""

    status = 422
    code = "undecodable_image"
    sentence = "the picture breaks off or is broken in its header"


class BrokenHeader(UndecodableImage):
    """It breaks off, or is broken, before its pixels."""


class ImageTooLarge(ImageError):
    """More pixels, or a longer side, than the limits."""

    status = 422
    code = "image_too_large"
    sentence = "the picture is 12001 x 1, with a side over 12000 (GLIMPSE_MAX_SIDE): send a smaller one"


class SlowImage(ImageTooLarge):
    """It takes longer to decode than a picture may."""


class HungryImage(ImageTooLarge):
    """It takes more memory to decode than the process has that tried."""


class HeavyImage(ImageError):
    """A picture that is to be decoded where it may take its time; no caller sees it."""

    sentence = "the picture is large"

    def __init__(self, *, is_header_read: bool) -> None:
        super().__init__()
        self.is_header_read = is_header_read


class Overloaded(ServiceError):
    """More work is waiting than can be done in time."""

    status = 503
    code = "overloaded"
    sentence = (
        "more is waiting than can be started within 30 ms (GLIMPSE_MAX_WAIT_MS): try again after the seconds "
        "in Retry-After"
    )

    def __init__(self, message: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds


class BodyTimeout(BodyError):
    """A body that stops arriving."""

    status = 408
    code = "body_timeout"
    sentence = (
        "the body stopped arriving after 1024 bytes: nothing came for 5 s (GLIMPSE_STALL_SECONDS), or not "
        "all of it within 60 s (GLIMPSE_READ_SECONDS); send it again"
    )


class Unauthorized(ServiceError):
    """No API key, or a wrong one, where keys are set."""

    status = 401
    code = "unauthorized"
    sentence = (
        "this service asks for a key: send one that it knows as 'Authorization: Bearer KEY' or as "
        "'X-API-Key: KEY'"
    )


class UnknownModel(ServiceError):
    """No bundle of that name, or not in that version, is loaded."""

    status = 404
    code = "unknown_model"
    sentence = "model 'vit' is not loaded: choose one of cnn, resnet"


class WrongArgument(ServiceError):
    """An argument in the address that the call does not know, or one given twice."""

    status = 422
    code = "wrong_argument"
    sentence = "there is no argument 'modle': choose among model, version"


class BundleError(ServiceError):
    """A bundle that can't be served: files missing or changed, another schema, wrong answers."""

    code = "bad_bundle"

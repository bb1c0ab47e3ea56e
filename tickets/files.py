"""What a file that somebody sends really is, and what of it is kept.

Knows no model. A file is judged by its content alone: its name and the type it claims decide
nothing. Refused files raise ``errors.Invalid`` kinds whose one fault points at ``/file``.

Pictures (JPEG, PNG, WebP) are decoded and drawn anew, so nothing but what can be seen is kept: no
place, camera, comment, second page or hidden text. PDF is kept as it came: its scripts and links
stay in it, so it is only ever served as a download. MP4 and MOV are kept, with the boxes emptied
in which phones write place and model; a separate track of positions, as action cameras write it,
stays. WebM is kept as it came (recorders write no place into it).
"""

import hashlib
import re
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePosixPath
from typing import Protocol

from django.utils.translation import gettext_lazy as _
from PIL import ExifTags, Image, ImageCms

from aftersales.common import errors
from aftersales.customers import freetext

MAX_SIZE = 10 * 2**20
MAX_PIXELS = 40_000_000
# A progressive JPEG has some ten scans. Each goes over every pixel and need not take 100 bytes, so
# 10 MB of them would keep a processor busy for an hour.
MAX_SCANS = 100
NAME_LENGTH = 100
# 40 megapixels take up to 650 MB and 3 s (WebP; measured); so many at once in one process.
DECODERS = 1
PATIENCE = 5.0

# What Pillow may try, and nothing else of its fifty formats. MPO is the JPEG with a second,
# smaller picture behind it that many phones write.
PICTURES = {"JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
# The endings that fit a type; the first one takes the place of one that does not.
ENDINGS = {
    "image/jpeg": (".jpg", ".jpeg"),
    "image/png": (".png",),
    "image/webp": (".webp",),
    "application/pdf": (".pdf",),
    "video/mp4": (".mp4", ".m4v"),
    "video/quicktime": (".mov", ".qt"),
    "video/webm": (".webm",),
}
KNOWN_ENDINGS = {ending for endings in ENDINGS.values() for ending in endings}
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1"}
MP4_BRANDS = {b"isom", b"mp41", b"mp42", b"avc1", b"M4V ", b"MSNV", b"dash"} | {
    b"iso%d" % n for n in range(2, 10)
}

_decoders = threading.BoundedSemaphore(DECODERS)


class Upload(Protocol):
    """What is asked of a sent file; Django's uploaded files fit."""

    name: str | None

    def seek(self, offset: int, /) -> object: ...
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Prepared:
    """What is stored of a file, and under which name it is shown."""

    content: bytes
    content_type: str
    name: str

    @property
    def size(self) -> int:
        return len(self.content)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class FileRefused(errors.Invalid):
    """A file that is not taken; ``code`` says why."""

    def __init__(self, code: str, detail: errors.Text) -> None:
        super().__init__(errors.FieldError("/file", code, detail), code=type(self).code)


class FileTooLarge(FileRefused):
    status, code = 413, "too_large"
    detail = errors.TooLarge.detail

    def __init__(self) -> None:
        super().__init__("file_too_large", _("Send at most 10 MB a file."))


class WrongFileType(FileRefused):
    status, code = 415, "wrong_type"
    detail = errors.WrongType.detail


class DecodersBusy(errors.DomainError):
    status, code = 503, "busy"
    detail = _("Too many pictures come in right now. Please repeat in a moment.")


def inspect(upload: Upload) -> Prepared:
    """Decide by its content what a file is, and clean it.

    Raises FileTooLarge, WrongFileType, FileRefused (damaged, empty, too many pixels) or
    DecodersBusy.
    """
    upload.seek(0)
    content = upload.read(MAX_SIZE + 1)
    if not content:
        raise FileRefused("empty", _("This file is empty."))
    if len(content) > MAX_SIZE:
        raise FileTooLarge()
    cleaned, content_type = _clean(content)
    return Prepared(cleaned, content_type, clean_name(upload.name or "", content_type))


def clean_name(name: str, content_type: str) -> str:
    """A name that can be shown and offered for download; it never reaches the disk.

    Compatible forms are united (NFKC) before the folders are cut off, since some letters become a
    slash by it. Invisible letters go, personal data is masked, and the ending is that of the type.
    """
    text = unicodedata.normalize("NFKC", name[-10 * NAME_LENGTH :])
    text = "".join(filter(_is_kept, text))
    text = text.replace("\\", "/").rpartition("/")[2]
    text, _found = freetext.mask_personal_data(" ".join(text.split()))
    ending = PurePosixPath(text).suffix
    if ending.lower() in KNOWN_ENDINGS:
        text = text.removesuffix(ending)
    if ending.lower() not in ENDINGS[content_type]:
        ending = ENDINGS[content_type][0]
    stem = text[: NAME_LENGTH - len(ending)].strip(" .")
    return (stem or "file") + ending


def _is_kept(letter: str) -> bool:
    """Not a control, format, private or unassigned character, nor half a pair; spaces stay."""
    return unicodedata.category(letter)[0] != "C" or letter in "\t\n\r"


def _clean(content: bytes) -> tuple[bytes, str]:
    """The content to keep and its type; raises FileRefused."""
    if content.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")) or (
        content.startswith(b"RIFF") and content[8:12] == b"WEBP"
    ):
        with _one_of_few_decoders():
            return _redraw(content)
    if content.startswith(b"%PDF-"):
        if b"%%EOF" not in content[-1024:]:
            raise _damaged()
        return content, "application/pdf"
    if content[4:8] == b"ftyp":
        return _clean_video(content)
    if content.startswith(b"\x1a\x45\xdf\xa3") and b"\x42\x82\x84webm" in content[:64]:
        if b"\x18\x53\x80\x67" not in content[:256]:  # the segment that holds everything
            raise _damaged()
        return content, "video/webm"
    raise _not_accepted()


def _damaged() -> FileRefused:
    return FileRefused(
        "damaged", _("This file is damaged or incomplete. Open it to check, and send it again.")
    )


def _not_accepted() -> WrongFileType:
    return WrongFileType(
        "type_not_accepted",
        _("Send a picture (JPEG, PNG, WebP), a PDF or a video (MP4, MOV, WebM)."),
    )


# --- pictures ------------------------------------------------------------------------------------

# What the eight orientations of a camera ask for.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@contextmanager
def _one_of_few_decoders() -> Iterator[None]:
    """Bounds the memory that pictures take in one process. Raises DecodersBusy."""
    if not _decoders.acquire(timeout=PATIENCE):
        raise DecodersBusy(retry_after=5)
    try:
        yield
    finally:
        _decoders.release()


def _redraw(content: bytes) -> tuple[bytes, str]:
    """The picture as it is seen, encoded anew; of several pages the first."""
    if content.startswith(b"\xff\xd8") and _scans(content) > MAX_SCANS:
        raise _damaged()
    picture = _decode(content)
    content_type = PICTURES[picture.format or ""]
    turn = _turn(picture)
    picture = _in_screen_colours(picture)
    if turn is not None:
        picture = picture.transpose(turn)
    picture.info = {}
    for quality in (88, 70):
        drawn = BytesIO()
        # method: WebP's slower ones take twice the time for a tenth of the size
        picture.save(drawn, content_type.removeprefix("image/"), quality=quality, method=0)
        if drawn.tell() <= MAX_SIZE:
            return drawn.getvalue(), content_type
    raise FileTooLarge()


# A marker that ends the pixels before it: no stuffed zero, no restart, none without a length.
MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
SCAN, END_OF_PICTURE = 0xDA, 0xD9


def _scans(content: bytes) -> int:
    """How often a JPEG's pixels are gone over, as far as it matters."""
    at, scans = 2, 0
    while scans <= MAX_SCANS and (found := MARKER.search(content, at)):
        kind, at = content[found.end() - 1], found.end()
        if kind == END_OF_PICTURE:
            break
        scans += kind == SCAN
        at += int.from_bytes(content[at : at + 2])
    return scans


def _decode(content: bytes) -> Image.Image:
    """The decoded picture. Its size is read, and judged, before a single pixel is."""
    try:
        picture = Image.open(BytesIO(content), formats=["JPEG", "PNG", "WEBP"])
        is_small = picture.width * picture.height <= MAX_PIXELS
        if is_small:
            picture.load()
    except Image.DecompressionBombError:
        is_small = False
    # A decoder that is fed hostile bytes raises whatever it likes.
    except Exception as error:
        raise _damaged() from error
    if not is_small:
        raise FileRefused(
            "too_many_pixels", _("This picture has over 40 megapixels. Send a smaller one.")
        )
    return picture


def _turn(picture: Image.Image) -> Image.Transpose | None:
    try:
        return TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # as in _decode; a broken note about the camera is no broken picture
        return None


def _in_screen_colours(picture: Image.Image) -> Image.Image:
    """Grey, RGB or RGBA, in sRGB. Never a palette: text could ride in one."""
    if picture.mode.startswith("I"):  # 16 bits of grey
        return picture.convert("I").point(lambda grey: grey / 256).convert("L")
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    if mode == "RGB" and picture.mode in {"1", "L"}:
        return picture.convert("L")
    if picture.mode not in {mode, "CMYK"}:
        picture = picture.convert(mode)
    picture = _in_srgb(picture, mode) or picture
    return picture if picture.mode == mode else picture.convert(mode)


def _in_srgb(picture: Image.Image, mode: str) -> Image.Image | None:
    """By its colour profile; None without one, or with one that does not fit."""
    profile = picture.info.get("icc_profile")
    if not profile:
        return None
    try:
        return ImageCms.profileToProfile(
            picture,
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            outputMode=mode,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


# --- video ---------------------------------------------------------------------------------------

# Where phones and editors write place, model and comments.
TELLING = {b"udta", b"meta", b"uuid"}


@dataclass(frozen=True)
class Box:
    """One box of an MP4 or MOV file: where its head, its content and it itself end."""

    kind: bytes
    start: int
    inside: int
    end: int


def _clean_video(content: bytes) -> tuple[bytes, str]:
    """An MP4 or MOV whose boxes add up, with what it tells besides the film emptied.

    The boxes are overwritten in place, so that no offset in the file moves.
    """
    content_type = _video_type(content)
    film = bytearray(content)
    boxes = list(_boxes(film, 0, len(film)))
    if not {b"moov", b"mdat"} <= {box.kind for box in boxes}:
        raise _damaged()
    movies = [box for box in boxes if box.kind == b"moov"]
    inside = [inner for movie in movies for inner in _boxes(film, movie.inside, movie.end)]
    tracks = [box for box in inside if box.kind == b"trak"]
    within = [inner for track in tracks for inner in _boxes(film, track.inside, track.end)]
    for box in boxes + inside + within:
        if box.kind in TELLING:
            film[box.start + 4 : box.start + 8] = b"free"
            film[box.inside : box.end] = bytes(box.end - box.inside)
    return bytes(film), content_type


def _video_type(content: bytes) -> str:
    length = int.from_bytes(content[:4])
    major = content[8:12]
    brands = {major} | {content[at : at + 4] for at in range(16, min(length, 256), 4)}
    if major == b"qt  ":
        return "video/quicktime"
    if major in HEIC_BRANDS:
        raise WrongFileType(
            "heic_not_accepted",
            _(
                "HEIC pictures cannot be shown everywhere. Send it as JPEG"
                " (iPhone: Settings, Camera, Formats, Most Compatible)."
            ),
        )
    if not major.startswith((b"M4A", b"avi", b"mif", b"msf")) and brands & MP4_BRANDS:
        return "video/mp4"
    raise _not_accepted()


def _boxes(film: bytearray, start: int, end: int) -> Iterator[Box]:
    """The boxes between two offsets. Raises FileRefused unless they fill it exactly."""
    while start < end:
        size, kind, inside = int.from_bytes(film[start : start + 4]), film[start + 4 : start + 8], 8
        if size == 1:  # the real size follows in 64 bits
            size, inside = int.from_bytes(film[start + 8 : start + 16]), 16
        elif size == 0:  # to the end
            size = end - start
        if size < inside or start + size > end:
            raise _damaged()
        yield Box(bytes(kind), start, start + inside, start + size)
        start += size

"""Files to send: honest ones of each kind, and the parts that hostile ones are made of."""

import struct
import zlib
from io import BytesIO
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image


def upload(content: bytes, name: str = "photo.jpg") -> SimpleUploadedFile:
    """As a browser sends it, whatever it really is."""
    sent = SimpleUploadedFile("file", content)
    sent.__dict__["_name"] = name  # past Django's own cleaning of names
    return sent


def picture(kind: str = "JPEG", *, size: tuple[int, int] = (48, 32), **options: Any) -> bytes:
    """Two halves, so that turning and flipping can be told from standing still."""
    image = Image.new("RGB", size, (200, 30, 30))
    image.paste((30, 30, 200), (0, 0, size[0] // 2, size[1] // 3))
    return encoded(image, kind, **options)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    written = BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def numbered_picture(number: int) -> bytes:
    """A picture unlike that of any other number below 256."""
    return encoded(Image.new("RGB", (8, 8), (number, 255 - number, 0)), "PNG")


def pdf(size: int = 200, mark: bytes = b"") -> bytes:
    """A PDF by its frame, of exactly ``size`` bytes."""
    head, tail = b"%PDF-1.7\n" + mark, b"\nstartxref\n9\n%%EOF\n"
    return head + b" " * (size - len(head) - len(tail)) + tail


def webm() -> bytes:
    header = b"\x42\x86\x81\x01\x42\x82\x84webm\x42\x87\x81\x04"
    return b"\x1a\x45\xdf\xa3" + bytes([0x80 | len(header)]) + header + b"\x18\x53\x80\x67\x81\x00"


# --- PNG, chunk by chunk -------------------------------------------------------------------------


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(
    width: int, height: int, rows: bytes, *between: bytes, depth: int = 1, kind: int = 0
) -> bytes:
    """A PNG of raw ``rows``, with other chunks before its pixels."""
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = [chunk(b"IHDR", head), *between, chunk(b"IDAT", zlib.compress(rows, 9))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")


def png_flood(side: int) -> bytes:
    """side × side pixels of one bit, in a few thousand bytes."""
    return png(side, side, bytes((side // 8 + 1) * side))


def png_chunks(content: bytes) -> set[bytes]:
    found, at = set(), 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        found.add(content[at + 4 : at + 8])
        at += length + 12
    return found


# --- JPEG and WebP -------------------------------------------------------------------------------


def jpeg_of_many_scans(scans: int, *, hidden: bool = False) -> bytes:
    """Its last scan again and again: 60 bytes for each further look at all pixels.

    ``hidden`` puts a marker without a length before them; whoever reads one there skips them all.
    """
    content = encoded(Image.new("L", (64, 64)), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    blind = b"\xff\x01\xff\xff" if hidden else b""
    return content[:last] + blind + content[last:-2] * scans + content[-2:]


def jpeg_segments(content: bytes) -> set[int]:
    """The markers before the pixels."""
    found, at = set(), 2
    while content[at + 1] != 0xDA:
        found.add(content[at + 1])
        at += 2 + int.from_bytes(content[at + 2 : at + 4])
    return found


def webp_chunks(content: bytes) -> set[bytes]:
    found, at = set(), 12
    while at < len(content):
        (length,) = struct.unpack("<I", content[at + 4 : at + 8])
        found.add(content[at : at + 4])
        at += 8 + length + length % 2
    return found


# --- MP4 and MOV ---------------------------------------------------------------------------------


def box(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def film(
    brand: bytes = b"isom",
    *,
    movie: bytes = b"",
    track: bytes = b"",
    after: bytes = b"",
    compatible: bytes = b"isommp42",
) -> bytes:
    """An MP4 by its boxes, with more put into the movie, its track, and behind everything."""
    moov = box(b"mvhd", bytes(100)) + box(b"trak", box(b"tkhd", bytes(84)) + track) + movie
    return (
        box(b"ftyp", brand + bytes(4) + compatible)
        + box(b"moov", moov)
        + box(b"mdat", b"frames" * 20)
        + after
    )

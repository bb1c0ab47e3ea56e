"""What a sent file really is: hostile ones refused, honest ones stripped of all but the picture."""

import contextlib
import io
import random
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from django.http import FileResponse
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from aftersales.common import errors
from tests.tickets import uploads
from tests.tickets.uploads import box, encoded, film, picture, png, png_flood, upload
from tickets import files

SVG = (
    b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
)
HTML = b"<!DOCTYPE html><html><script>alert(document.domain)</script></html>"
PLACE = b"+31.2304+121.4737/"


def zipped(size: int) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(size))
    return written.getvalue()


def refusal(content: bytes, name: str = "photo.jpg") -> tuple[int, str, str, str]:
    """Status, code, and the one fault's pointer and code."""
    with pytest.raises(errors.Invalid) as caught:
        files.inspect(upload(content, name))
    (fault,) = caught.value.errors
    return caught.value.status, caught.value.code, fault.pointer, fault.code


NOT_ACCEPTED = (415, "wrong_type", "/file", "type_not_accepted")
DAMAGED = (422, "invalid", "/file", "damaged")
FLOOD = (422, "invalid", "/file", "too_many_pixels")

HOSTILE: dict[str, tuple[str, Callable[[], bytes], tuple[int, str, str, str]]] = {
    "SVG as JPEG": ("x.jpg", lambda: SVG, NOT_ACCEPTED),
    "SVG": ("x.svg", lambda: SVG, NOT_ACCEPTED),
    "HTML as PNG": ("x.png", lambda: HTML, NOT_ACCEPTED),
    "HTML": ("x.html", lambda: HTML, NOT_ACCEPTED),
    "XML as PDF": ("x.pdf", lambda: b'<?xml version="1.0"?><a/>', NOT_ACCEPTED),
    "HTML before a PDF": ("x.pdf", lambda: HTML + uploads.pdf(), NOT_ACCEPTED),
    "zip bomb as docx": ("x.docx", lambda: zipped(50_000_000), NOT_ACCEPTED),
    "program": ("x.jpg", lambda: b"MZ\x90\x00" + bytes(200), NOT_ACCEPTED),
    "text": ("x.txt", lambda: b"hello", NOT_ACCEPTED),
    "GIF": ("x.gif", lambda: encoded(Image.new("P", (4, 4)), "GIF"), NOT_ACCEPTED),
    "TIFF as JPEG": ("x.jpg", lambda: encoded(Image.new("L", (4, 4)), "TIFF"), NOT_ACCEPTED),
    "AVIF": ("x.avif", lambda: encoded(Image.new("RGB", (9, 9)), "AVIF"), NOT_ACCEPTED),
    "sound": ("x.m4a", lambda: film(b"M4A "), NOT_ACCEPTED),
    "Matroska": ("x.webm", lambda: uploads.webm().replace(b"\x84webm", b"\x84mkv1"), NOT_ACCEPTED),
    "HEIC": ("x.heic", lambda: film(b"heic"), (415, "wrong_type", "/file", "heic_not_accepted")),
    "nothing": ("x.jpg", lambda: b"", (422, "invalid", "/file", "empty")),
    "too large": (
        "x.pdf",
        lambda: uploads.pdf(files.MAX_SIZE + 1),
        (413, "too_large", "/file", "file_too_large"),
    ),
    "head of a JPEG": ("x.jpg", lambda: b"\xff\xd8\xff\xe0", DAMAGED),
    "half a JPEG": ("x.jpg", lambda: picture(size=(400, 300))[:1500], DAMAGED),
    "half a PNG": ("x.png", lambda: picture("PNG")[:-40], DAMAGED),
    "half a WebP": ("x.webp", lambda: picture("WEBP")[:-40], DAMAGED),
    "half a PDF": ("x.pdf", lambda: uploads.pdf()[:-8], DAMAGED),
    "half a film": ("x.mp4", lambda: film()[:-8], DAMAGED),
    "HTML behind a film": ("x.mp4", lambda: film(after=HTML), DAMAGED),
    "film with a box smaller than its head": (
        "x.mp4",
        lambda: film(after=b"\0\0\0\x04free\0\0\0\x08free"),
        DAMAGED,
    ),
    "film with a box of no size": (
        "x.mp4",
        lambda: film(after=b"\0\0\0\x01free" + bytes(8)),
        DAMAGED,
    ),
    "film of an unknown brand": (
        "x.mp4",
        lambda: film(b"xxxx", compatible=b"xxxx"),
        NOT_ACCEPTED,
    ),
    "film without an index": ("x.mp4", lambda: film().replace(b"moov", b"free"), DAMAGED),
    "half a WebM": ("x.webm", lambda: uploads.webm()[:-6], DAMAGED),
    "400 megapixels": ("x.png", lambda: png_flood(20_000), FLOOD),
    "100 megapixels": ("x.png", lambda: png_flood(10_000), FLOOD),
    "just over 40": ("x.png", lambda: png(8000, 5001, bytes(1001 * 5001)), FLOOD),
    "an hour of scans": ("x.jpg", lambda: uploads.jpeg_of_many_scans(150), DAMAGED),
    "scans behind an odd marker": (
        "x.jpg",
        lambda: uploads.jpeg_of_many_scans(150, hidden=True),
        DAMAGED,
    ),
    "text bomb in a PNG": (
        "x.png",
        lambda: png(8, 8, bytes(16), uploads.chunk(b"zTXt", b"a\0\0" + zipped_text(100_000_000))),
        DAMAGED,
    ),
}


def zipped_text(size: int) -> bytes:
    return zlib.compress(bytes(size), 9)


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_it_refuses_what_is_not_on_the_list_or_is_broken(case: str) -> None:
    name, make, expected = HOSTILE[case]
    assert refusal(make(), name) == expected


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_it_judges_a_picture_by_its_head_without_decoding_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(self: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    assert refusal(png_flood(20_000)) == FLOOD
    assert refusal(png_flood(10_000)) == FLOOD


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_pixel_flood_takes_no_memory() -> None:
    def peak() -> int:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) // 1024

    content = png_flood(12_000)  # 144 MB once decoded
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    refusal(content)
    assert peak() - before < 30


def test_forty_megapixels_are_taken() -> None:
    prepared = files.inspect(upload(png(8000, 5000, bytes(1001 * 5000))))
    assert Image.open(io.BytesIO(prepared.content)).size == (8000, 5000)


# --- what is kept --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "content_type"),
    [
        ("a.jpg", picture(), "image/jpeg"),
        ("a.jpeg", picture(progressive=True), "image/jpeg"),
        ("a.png", picture("PNG"), "image/png"),
        ("a.webp", picture("WEBP"), "image/webp"),
        ("a.pdf", uploads.pdf(), "application/pdf"),
        ("a.mp4", film(), "video/mp4"),
        ("a.mp4", film(b"iso5", compatible=b"iso6"), "video/mp4"),
        ("a.mov", film(b"qt  ", compatible=b"qt  "), "video/quicktime"),
        ("a.webm", uploads.webm(), "video/webm"),
    ],
)
def test_it_takes_each_kind_on_the_list(name: str, content: bytes, content_type: str) -> None:
    prepared = files.inspect(upload(content, name))
    assert (prepared.content_type, prepared.name) == (content_type, name)
    assert prepared.size == len(prepared.content)


def test_the_type_is_that_of_the_content_and_the_name_follows() -> None:
    prepared = files.inspect(upload(picture("PNG"), "page.html"))
    assert (prepared.content_type, prepared.name) == ("image/png", "page.html.png")
    assert files.inspect(upload(picture("PNG"), "a.JPG")).name == "a.png"
    assert files.inspect(upload(picture(), "a.JPEG")).name == "a.JPEG"


def test_the_same_picture_is_drawn_the_same() -> None:
    assert files.inspect(upload(picture())).sha256 == files.inspect(upload(picture())).sha256


SCRIPT = b"<script>alert(1)</script>"


def palette_of_script() -> bytes:
    palette = uploads.chunk(b"PLTE", SCRIPT.ljust(768, b"\0"))
    return png(8, 8, bytes(9 * 8), palette, depth=8, kind=3)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(picture("PNG") + HTML, id="HTML behind a PNG"),
        pytest.param(picture() + HTML, id="HTML behind a JPEG"),
        pytest.param(picture("WEBP") + HTML, id="HTML behind a WebP"),
        pytest.param(
            png(8, 8, bytes(16), uploads.chunk(b"tEXt", b"Comment\0" + SCRIPT)), id="PNG text"
        ),
        pytest.param(palette_of_script(), id="PNG palette"),
        pytest.param(picture(comment=SCRIPT), id="JPEG comment"),
        pytest.param(picture(xmp=SCRIPT), id="JPEG XMP"),
        pytest.param(picture("WEBP", xmp=SCRIPT), id="WebP XMP"),
        pytest.param(picture(icc_profile=SCRIPT), id="JPEG profile"),
    ],
)
def test_nothing_of_a_polyglot_but_the_picture_is_kept(content: bytes) -> None:
    assert b"<script" in content
    prepared = files.inspect(upload(content))
    assert b"<script" not in prepared.content.lower()
    Image.open(io.BytesIO(prepared.content)).load()


def telling() -> dict[str, Any]:
    """Place, camera and comment, in every way in which a picture can carry them."""
    exif = Image.Exif()
    exif[0x010F], exif[0x013B] = "CameraMaker", "Somebody"
    exif.get_ifd(0x8825).update({1: "N", 2: (31.0, 13.0, 49.0), 3: "E", 4: (121.0, 28.0, 25.0)})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return {"exif": exif, "xmp": b"<x:xmpmeta>CameraMaker</x:xmpmeta>", "icc_profile": profile}


def test_a_jpeg_keeps_no_place_camera_or_comment() -> None:
    sent = picture(comment=b"by Somebody", **telling())
    assert uploads.jpeg_segments(sent) >= {0xE1, 0xE2, 0xFE}
    kept = files.inspect(upload(sent)).content
    assert uploads.jpeg_segments(kept) == {0xE0, 0xDB, 0xC0, 0xC4}
    assert len(Image.open(io.BytesIO(kept)).getexif()) == 0


def test_a_png_keeps_no_place_camera_or_comment() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "Somebody")
    text.add_itxt("XML:com.adobe.xmp", "CameraMaker")
    tell = telling()
    tell.pop("xmp")
    sent = picture("PNG", pnginfo=text, dpi=(72, 72), **tell)
    assert uploads.png_chunks(sent) >= {b"eXIf", b"iCCP", b"iTXt", b"tEXt", b"pHYs"}
    kept = files.inspect(upload(sent)).content
    assert uploads.png_chunks(kept) == {b"IHDR", b"IDAT", b"IEND"}


def test_a_webp_keeps_no_place_camera_or_comment() -> None:
    sent = picture("WEBP", **telling())
    assert uploads.webp_chunks(sent) >= {b"EXIF", b"XMP ", b"ICCP"}
    kept = files.inspect(upload(sent)).content
    assert uploads.webp_chunks(kept) == {b"VP8 "}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_stands_as_the_camera_was_held(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    sent = picture(kind, exif=exif)
    seen = ImageOps.exif_transpose(Image.open(io.BytesIO(sent))).convert("RGB")
    kept = Image.open(io.BytesIO(files.inspect(upload(sent)).content)).convert("RGB")
    assert kept.size == seen.size
    for corner in [(2, 2), (seen.width - 3, 2), (2, seen.height - 3)]:
        assert is_reddish(kept, corner) == is_reddish(seen, corner)


def is_reddish(image: Image.Image, at: tuple[int, int]) -> bool:
    pixel: Any = image.getpixel(at)
    return bool(pixel[0] > pixel[2])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("note", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0no directory"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_broken_note_about_the_camera_breaks_no_picture(kind: str, note: bytes) -> None:
    files.inspect(upload(picture(kind, exif=note)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_can_be_drawn_anew(mode: str) -> None:
    prepared = files.inspect(upload(encoded(Image.new(mode, (20, 10)), "PNG")))
    assert Image.open(io.BytesIO(prepared.content)).mode in {"L", "RGB", "RGBA"}


def test_sixteen_bits_of_grey_become_eight_of_the_same_grey() -> None:
    sent = encoded(Image.new("I;16", (4, 4), 0x8000), "PNG")
    kept = Image.open(io.BytesIO(files.inspect(upload(sent)).content))
    assert kept.getpixel((0, 0)) == 128


def test_what_can_be_seen_through_stays_so() -> None:
    image = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    kept = Image.open(io.BytesIO(files.inspect(upload(encoded(image, "PNG"))).content))
    assert kept.getpixel((0, 0)) == (10, 20, 30, 0)


def test_colours_for_print_become_colours_for_screens() -> None:
    sent = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")
    kept = Image.open(io.BytesIO(files.inspect(upload(sent)).content))
    assert kept.mode == "RGB"
    assert is_reddish(kept, (8, 8))


def swapped_profile() -> bytes:
    """The colours of screens with red and blue in each other's place."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_colour_profile_is_obeyed_before_it_goes(mode: str) -> None:
    """A photo of another colour space would else look washed out, and complaints are of colours."""
    red = Image.new("RGB", (16, 16), (200, 30, 30)).convert(mode)
    sent = encoded(red, "PNG", icc_profile=swapped_profile())
    kept = Image.open(io.BytesIO(files.inspect(upload(sent)).content))
    assert not is_reddish(kept, (8, 8))


def test_a_colour_profile_that_does_not_fit_is_ignored() -> None:
    unfit = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    for profile in (unfit, b"no profile"):
        sent = encoded(Image.new("RGB", (16, 16), (200, 30, 30)), "PNG", icc_profile=profile)
        kept = Image.open(io.BytesIO(files.inspect(upload(sent)).content))
        assert kept.getpixel((8, 8)) == (200, 30, 30)


def test_a_phone_s_jpeg_with_a_second_picture_is_a_jpeg() -> None:
    second = Image.new("RGB", (8, 8))
    sent = encoded(
        Image.new("RGB", (32, 32), (9, 9, 9)), "MPO", save_all=True, append_images=[second]
    )
    assert Image.open(io.BytesIO(sent)).format == "MPO"
    prepared = files.inspect(upload(sent))
    assert prepared.content_type == "image/jpeg"
    assert Image.open(io.BytesIO(prepared.content)).format == "JPEG"


def test_a_picture_that_grows_over_the_limit_is_drawn_coarser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noise = Image.frombytes("RGB", (100, 100), random.Random(1).randbytes(30_000))
    sent = encoded(noise, "JPEG", quality=60)
    fine = files.inspect(upload(sent)).size
    monkeypatch.setattr(files, "MAX_SIZE", fine - 1)
    assert files.inspect(upload(sent)).size < fine


def test_a_picture_that_stays_over_the_limit_once_drawn_anew_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noise = Image.frombytes("P", (100, 100), random.Random(1).randbytes(10_000))
    noise.putpalette(random.Random(2).randbytes(768))
    sent = encoded(noise, "PNG")
    monkeypatch.setattr(files, "MAX_SIZE", len(sent))
    assert refusal(sent) == (413, "too_large", "/file", "file_too_large")


# --- the decoder's turnstile ---------------------------------------------------------------------


def test_it_says_busy_rather_than_decode_too_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PATIENCE", 0.01)
    for _each in range(files.DECODERS):
        files._decoders.acquire()
    try:
        with pytest.raises(files.DecodersBusy) as caught:
            files.inspect(upload(picture()))
        assert files.inspect(upload(uploads.pdf())).content_type == "application/pdf"
    finally:
        for _each in range(files.DECODERS):
            files._decoders.release()
    assert (caught.value.status, caught.value.extra) == (503, {"retry_after": 5})


def test_a_refused_picture_leaves_the_turnstile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PATIENCE", 0.01)
    for _each in range(files.DECODERS + 1):
        assert refusal(b"\xff\xd8\xff\xe0") == DAMAGED


# --- films ---------------------------------------------------------------------------------------


def test_a_film_keeps_its_frames_and_not_its_place() -> None:
    place = box(b"udta", box(b"\xa9xyz", b"\x00\x12\x15\xc7" + PLACE))
    keys = box(b"meta", b"com.apple.quicktime.location.ISO6709" + PLACE)
    sent = film(movie=place + keys, track=place, after=box(b"uuid", bytes(16) + PLACE))
    kept = files.inspect(upload(sent, "a.mp4")).content
    assert PLACE not in kept
    assert len(kept) == len(sent)
    assert kept.index(b"mdat") == sent.index(b"mdat")
    assert b"frames" * 20 in kept
    assert kept.count(b"free") == 4
    assert not {b"udta", b"meta", b"uuid"} & {kept[at : at + 4] for at in range(len(kept))}


def test_a_film_without_notes_is_kept_as_it_came() -> None:
    assert files.inspect(upload(film(), "a.mp4")).content == film()


def test_boxes_may_name_their_size_in_64_bits_or_reach_to_the_end() -> None:
    long_box = b"\0\0\0\x01" + b"free" + (24).to_bytes(8) + bytes(8)
    last_box = b"\0\0\0\0" + b"uuid" + PLACE
    kept = files.inspect(upload(film(after=long_box + last_box), "a.mp4")).content
    assert PLACE not in kept


# --- hostile bytes in general --------------------------------------------------------------------

HONEST = [
    picture(exif=telling()["exif"]),
    picture(progressive=True),
    picture("PNG", **{k: v for k, v in telling().items() if k != "xmp"}),
    encoded(Image.new("P", (9, 9)), "PNG", transparency=0),
    picture("WEBP", **telling()),
    picture("WEBP", lossless=True),
    film(movie=box(b"udta", PLACE), track=box(b"meta", PLACE)),
    uploads.pdf(),
    uploads.webm(),
]


@given(
    st.sampled_from(HONEST),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 40),
)
def test_broken_bytes_are_kept_clean_or_refused_and_raise_nothing_else(
    content: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    broken = bytearray(content)
    for at, value in changes:
        broken[at % len(broken)] = value
    try:
        prepared = files.inspect(upload(bytes(broken[: len(broken) - cut])))
    except files.FileRefused:
        return
    assert prepared.content_type in files.ENDINGS


@given(st.binary(max_size=200), st.sampled_from([c[:16] for c in HONEST]))
def test_a_good_head_on_anything_raises_nothing_else(tail: bytes, head: bytes) -> None:
    with contextlib.suppress(files.FileRefused):
        files.inspect(upload(head + tail))


# --- names ---------------------------------------------------------------------------------------

NAMES = {
    "../../etc/passwd": "passwd.jpg",
    "..\\..\\boot.ini": "boot.ini.jpg",
    "C:\\Users\\me\\a.jpg": "a.jpg",
    "／etc／a.jpg": "a.jpg",  # full-width slashes: NFKC makes them real ones
    "․․/a.jpg": "a.jpg",
    "a\x00b.jpg": "ab.jpg",
    "a.jpg\r\nSet-Cookie: b=1": "a.jpg Set-Cookie: b=1.jpg",
    "photo\u202egpj.exe": "photogpj.exe.jpg",
    "a\u200b.\u2060jpg": "a.jpg",
    "ﬁlm　１.jpg": "film 1.jpg",
    "\ud800x.jpg": "x.jpg",
    "": "file.jpg",
    "..": "file.jpg",
    ".jpg": "jpg.jpg",
    ".htaccess": "htaccess.jpg",
    "a/": "file.jpg",
    "   ": "file.jpg",
    "a\u2028b.jpg": "a b.jpg",
    "x" * 300 + ".jpeg": "x" * 95 + ".jpeg",
    "主板 冒烟.jpg": "主板 冒烟.jpg",
    "发票 13812345678.jpg": "发票 138****5678.jpg",
    "wang@example.com.png": "w****@example.com.jpg",
    "mmexport1605859200000.jpg": "mmexport1605859200000.jpg",
}


@pytest.mark.parametrize("sent", NAMES, ids=ascii)
def test_a_name_is_made_fit_to_be_shown(sent: str) -> None:
    assert files.clean_name(sent, "image/jpeg") == NAMES[sent]


tricky = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("../\\\0\r\n\"';%*\u202e\u200b\u2028\ufeff／＼․．ﷺ"),
        st.characters(categories=["Cs", "Cf", "Cc", "Mn"]),
    ),
    max_size=150,
)


@given(tricky, st.sampled_from(sorted(files.ENDINGS)))
def test_no_name_gets_through_with_anything_but_visible_letters(
    sent: str, content_type: str
) -> None:
    name = files.clean_name(sent, content_type)
    assert 0 < len(name) <= files.NAME_LENGTH
    assert name.lower().endswith(files.ENDINGS[content_type])
    assert not set("/\\") & set(name)
    assert not name.startswith((".", " "))
    assert not any(unicodedata.category(letter)[0] == "C" for letter in name)
    assert not any(letter.isspace() and letter != " " for letter in name)
    name.encode()


@given(tricky)
def test_a_name_in_the_header_is_read_back_as_it_is(sent: str) -> None:
    name = files.clean_name(sent, "image/png")
    header = FileResponse(io.BytesIO(), as_attachment=True, filename=name)["Content-Disposition"]
    assert "\r" not in header
    assert "\n" not in header
    message = EmailMessage()
    message["Content-Disposition"] = header
    assert message.get_content_disposition() == "attachment"
    assert message.get_filename() == name

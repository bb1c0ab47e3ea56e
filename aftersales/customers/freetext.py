"""Finds phones, mail addresses, ID and bank card numbers in what people write, and masks them.

Pure. Recognised in full-width letters too, glued to Chinese, and with the usual separators:
mobiles, land lines with area code, numbers with ``+`` or ``00``, mail, 18-digit ID numbers, cards.

Left alone: order and serial numbers, models, dates, prices, and numbers that belong to firms or
authorities (400 and 800 numbers, 12315, 95588). A digit string glued to Latin letters is a code
(``SN13812345678``), unless the letters say otherwise (``tel13812345678``). 15-digit ID numbers
ended in 2013 and look like IMEIs: left alone. Where a number may be either, it is masked: the
original is kept encrypted, a missed phone is not.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator

import phonenumbers

from aftersales.customers import masks

# What people put between groups of digits; zero-width characters come with copied text.
_SEPARATORS = r" \t\-.·_()​‌‍⁠﻿­"
_S = f"[{_SEPARATORS}]{{1,2}}"
_Z = f"[{_SEPARATORS}]{{0,2}}"
_EXTENSION = r"(?:\s?(?:-|#|,|转|分机|ext\.?)\s?\d{1,6}(?!\d))?"

_MOBILE_SHAPES = (
    r"1[3-9]\d{9}",
    rf"1[3-9]\d{_S}\d{{4}}{_S}\d{{4}}",
    rf"1[3-9]\d{_S}\d{{3}}{_S}\d{{5}}",
    rf"1[3-9]\d{_S}\d{{8}}",
    rf"1[3-9]\d{{5}}{_S}\d{{4}}",
    rf"1[3-9]\d\d{_S}\d{{3}}{_S}\d{{4}}",
    rf"1[3-9]\d\d{_S}\d{{4}}{_S}\d{{3}}",
    rf"1[3-9]\d{_S}\d\d{_S}\d\d{_S}\d\d{_S}\d\d",
    rf"1{_S}[3-9](?:{_S}\d){{9}}",
)
_MOBILE = re.compile(
    rf"(?<!\d)\(?(?:(?:\+|00)?86{_Z})?\(?(?:{'|'.join(_MOBILE_SHAPES)}){_EXTENSION}(?!\d)",
    re.IGNORECASE,
)
_AREA = r"(?!400|800)(?:10|2\d|[3-9]\d\d)"
_LAND_LINE = re.compile(
    rf"(?<!\d)(?<!\d\.)\(?(?:(?:\+|00)86{_Z}\(?0?|0){_AREA}{_Z}[2-8]\d{{2,3}}{_Z}\d{{4}}"
    rf"{_EXTENSION}(?!\d)",
    re.IGNORECASE,
)
# Seven or eight digits alone are a phone only where the word before says so.
_NAMED = re.compile(
    r"(?P<word>(?:电话|座机|固话|手机|热线|致电|tel|phone)(?:号码?|是|为|no\.?)?\s?[::.]?\s?)"
    rf"(?P<number>[2-8]\d{{2,3}}{_Z}\d{{4}}{_EXTENSION})(?!\d)",
    re.IGNORECASE,
)
_FOREIGN = re.compile(rf"(?<!\d)(?:\+|00){_Z}[1-9]\d{{0,2}}(?:{_Z}\d){{6,12}}(?!\d)")
_MAIL = re.compile(
    r"(?:(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+|[一-鿿]{1,4})\s?@\s?"
    r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*[.。][A-Za-z]{2,}"
)
_ID_NUMBER = re.compile(
    rf"(?<!\d)(?P<region>\d{{6}}){_Z}(?P<birth>\d{{8}}){_Z}(?P<rest>\d{{3}}[\dXx])(?![0-9])"
)
_CARD = re.compile(
    r"(?P<word>(?:银行卡|信用卡|储蓄卡|卡|账|帐|card)(?:号码?|是|no\.?)?\s?[::.]?\s?)?"
    rf"(?<!\d)(?P<number>\d{{4}}{_Z}\d{{4}}{_Z}\d{{4}}{_Z}\d{{4}}(?:{_Z}\d{{1,3}})?)(?!\d)",
    re.IGNORECASE,
)

_PROVINCES = frozenset(
    [
        "11",
        "12",
        "13",
        "14",
        "15",
        "21",
        "22",
        "23",
        "31",
        "32",
        "33",
        "34",
        "35",
        "36",
        "37",
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "50",
        "51",
        "52",
        "53",
        "54",
        "61",
        "62",
        "63",
        "64",
        "65",
        "71",
        "81",
        "82",
        "83",
    ]
)
# Letters before a number that announce it, instead of making it part of a code.
_ANNOUNCING = ("tel", "phone", "mobile", "mob", "cell", "call", "contact", "vx", "wx", "wechat",
               "weixin", "id", "card", "is", "no", "at", "to")  # fmt: skip

Span = tuple[int, int, str]


def mask_personal_data(text: str) -> tuple[str, bool]:
    """``text`` with personal numbers and addresses masked, and whether there were any."""
    plain = text.translate(_PLAIN)
    parts: list[str] = []
    end = 0
    for start, stop, mask in _spans(plain):
        parts += [text[end:start], mask]
        end = stop
    return "".join(parts) + text[end:], end > 0


def masked(text: str) -> str:
    """The text to store where no original is kept: remarks of staff."""
    return mask_personal_data(text)[0]


class _Plain(dict[int, str]):
    """Full-width letters and foreign digits as ASCII, one for one; fills as it is read."""

    def __missing__(self, code: int) -> str:
        self[code] = _plain_character(chr(code))
        return self[code]


_PLAIN = _Plain()


def _plain_character(char: str) -> str:
    if "！" <= char <= "～":
        return chr(ord(char) - 0xFEE0)
    if char in "\u3000\u00a0\u2002\u2003\u2009\u202f":
        return " "
    if char in "‐‑‒–—―−﹣":
        return "-"
    digit = unicodedata.decimal(char, None)
    return char if digit is None else str(digit)


def _spans(plain: str) -> list[Span]:
    """Places to mask, left to right, none overlapping; the earlier finder wins."""
    finders: tuple[Callable[[str], Iterator[Span]], ...] = (
        _mails,
        _id_numbers,
        _cards,
        _phones,
        _foreign_numbers,
    )
    chosen: list[Span] = []
    taken = bytearray(len(plain))
    for finder in finders:
        for start, stop, mask in finder(plain):
            if not any(taken[start:stop]):
                taken[start:stop] = b"\1" * (stop - start)
                chosen.append((start, stop, mask))
    return sorted(chosen)


def _mails(plain: str) -> Iterator[Span]:
    for match in _MAIL.finditer(plain):
        mail = re.sub(r"\s", "", match[0]).replace("。", ".")
        yield match.start(), match.end(), masks.mask_email(mail)


def _id_numbers(plain: str) -> Iterator[Span]:
    for match in _ID_NUMBER.finditer(plain):
        number = match["region"] + match["birth"] + match["rest"].upper()
        if _is_id_number(number) and not _is_code(plain, match.start()):
            yield match.start(), match.end(), masks.HIDDEN + number[-2:]


def _is_id_number(number: str) -> bool:
    year, month, day = int(number[6:10]), int(number[10:12]), int(number[12:14])
    if number[:2] not in _PROVINCES or not 1 <= month <= 12 or not 1 <= day <= 31:
        return False
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(weight * int(digit) for weight, digit in zip(weights, number, strict=False))
    if "10X98765432"[total % 11] == number[17]:
        return 1900 <= year <= 2099
    # A slip of the finger still gives a person away; an order number with a recent date does not.
    return 1900 <= year < 2010


def _cards(plain: str) -> Iterator[Span]:
    for match in _CARD.finditer(plain):
        digits = re.sub(r"\D", "", match["number"])
        # Bare digits must look like the cards in use here, or every tenth order number would go.
        likely = digits.startswith("62") or (match["word"] and digits[0] in "3456")
        if likely and _luhn(digits) and not _is_code(plain, match.start("number")):
            yield match.start("number"), match.end("number"), masks.HIDDEN + digits[-4:]


def _luhn(digits: str) -> bool:
    doubled = [int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _foreign_numbers(plain: str) -> Iterator[Span]:
    for match in _FOREIGN.finditer(plain):
        digits = re.sub(r"\D", "", match[0])
        digits = digits if match[0].startswith("+") else digits[2:]
        try:
            number = phonenumbers.parse("+" + digits)
        except phonenumbers.NumberParseException:
            continue
        firm = number.country_code == 86 and str(number.national_number)[:3] in ("400", "800")
        if phonenumbers.is_valid_number(number) and not firm:
            yield match.start(), match.end(), masks.mask_phone(match[0])


def _phones(plain: str) -> Iterator[Span]:
    for pattern in (_MOBILE, _LAND_LINE):
        for match in pattern.finditer(plain):
            if not _is_code(plain, match.start()):
                bracketed = match[0].startswith("(") and ")" not in match[0]
                yield match.start() + bracketed, match.end(), masks.mask_phone(match[0])
    for match in _NAMED.finditer(plain):
        yield match.start("number"), match.end("number"), masks.mask_phone(match["number"])


def _is_code(plain: str, start: int) -> bool:
    """Whether the digits at ``start`` continue a code with letters, such as a serial number."""
    left = re.search(r"[A-Za-z0-9_-]*\Z", plain[max(0, start - 40) : start])
    run = left[0].rstrip("-_") if left else ""
    return re.search(r"[A-Za-z]", run) is not None and not run.lower().endswith(_ANNOUNCING)

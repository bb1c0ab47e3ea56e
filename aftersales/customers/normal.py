"""One spelling for each value that is compared: what a blind index or a unique rule is made of.

Pure. A value that fits no form is still given a key (its letters without spaces), so that every
stored value has one; ``is_possible_phone`` tells intake which to refuse.
"""

import re
import unicodedata

import phonenumbers

REGION = "CN"
# Shops hand on a platform's virtual number with its extension: 13800138000-1234, 13800138000转1234.
_VIRTUAL = re.compile(r"^(?:\+?86)?(1[3-9]\d{9})(?:-|,|转|ext\.?)(\d{2,6})$")
_SPACES = re.compile(r"\s+")


def halfwidth(text: str) -> str:
    """Full-width letters, digits and signs as their plain forms, without spaces at the ends."""
    return unicodedata.normalize("NFKC", text).strip()


def compact(text: str) -> str:
    """``halfwidth``, and no spaces inside either."""
    return _SPACES.sub("", halfwidth(text))


def phone_key(text: str) -> str:
    """E.164 with China as the home country, ``;ext=`` behind it where there is an extension."""
    plain = compact(text)
    virtual = _VIRTUAL.match(plain)
    if virtual:
        return f"+86{virtual[1]};ext={virtual[2]}"
    number = _parse(plain)
    if number is None:
        return plain.upper()
    key = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{key};ext={number.extension}" if number.extension else key


def is_possible_phone(text: str) -> bool:
    """Could be dialled: mobile, land line, 400 number, short service number or a foreign one."""
    plain = compact(text)
    if _VIRTUAL.match(plain):
        return True
    number = _parse(plain)
    return number is not None and (
        phonenumbers.is_possible_number(number) or phonenumbers.is_possible_short_number(number)
    )


def email_key(text: str) -> str:
    """Lower case without spaces. The part before @ too: no provider in use tells case apart."""
    return compact(text).lower()


def order_key(text: str) -> str:
    """An order number in upper case without spaces."""
    return compact(text).upper()


def same_text(one: str, other: str) -> bool:
    """Two names or addresses that differ in nothing but width, case and spaces."""
    return compact(one).casefold() == compact(other).casefold()


def _parse(plain: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(plain, REGION)
    except phonenumbers.NumberParseException:
        return None

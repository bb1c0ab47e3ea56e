"""One spelling for each value that is compared: what a blind index or a unique rule is made of.

Pure. A value that fits no form is still given a key (its letters without spaces), so that every
stored value has one; ``is_possible_phone`` tells intake which to refuse.
"""

import re
import unicodedata

import phonenumbers

REGION = "CN"
# Also the virtual numbers that platforms hand out: 13800138000-1234, 13800138000转1234.
_EXTENDED = re.compile(r"^(.*\d{4})(?:-|,|;|#|转|分机|(?:;?ext[.=]?)|x)(\d{1,6})$", re.IGNORECASE)
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
    number, extension = _parse(plain)
    if number is None:
        return plain.upper()
    key: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{key};ext={extension}" if extension else key


def is_possible_phone(text: str) -> bool:
    """Could be dialled: mobile, land line, 400 number, short service number or a foreign one."""
    number, _ = _parse(compact(text))
    return (
        number is not None
        and (number.national_number or 0) > 99
        and (
            phonenumbers.is_possible_number(number) or phonenumbers.is_possible_short_number(number)
        )
    )


def is_own_phone(text: str) -> bool:
    """Tells one person or household apart.

    A firm's hotline does not, and neither does a platform's virtual number (a mobile with an
    extension), which is handed to somebody else a few weeks later.
    """
    number, extension = _parse(compact(text))
    if number is None or not phonenumbers.is_possible_number(number):
        return False
    kind = phonenumbers.number_type(number)
    shared = kind in (
        phonenumbers.PhoneNumberType.TOLL_FREE,
        phonenumbers.PhoneNumberType.SHARED_COST,
        phonenumbers.PhoneNumberType.PREMIUM_RATE,
        phonenumbers.PhoneNumberType.UAN,
    )
    virtual = kind == phonenumbers.PhoneNumberType.MOBILE and extension != ""
    return not shared and not virtual and (number.national_number or 0) > 999_999


def email_key(text: str) -> str:
    """Lower case without spaces. The part before @ too: no provider in use tells case apart."""
    return compact(text).lower()


def order_key(text: str) -> str:
    """An order number in upper case without spaces."""
    return compact(text).upper()


def same_text(one: str, other: str) -> bool:
    """Two names or addresses that differ in nothing but width, case and spaces."""
    return compact(one).casefold() == compact(other).casefold()


def _parse(plain: str) -> tuple[phonenumbers.PhoneNumber | None, str]:
    """The number and its extension, which is split off only where a whole number stands before."""
    extended = _EXTENDED.match(plain)
    try:
        if extended:
            number = phonenumbers.parse(extended[1], REGION)
            if phonenumbers.is_valid_number(number):
                return number, extended[2]
        return phonenumbers.parse(plain, REGION), ""
    except phonenumbers.NumberParseException:
        return None, ""

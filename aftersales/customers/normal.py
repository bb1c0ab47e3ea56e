"""One spelling for each value that is compared: what a blind index or a unique rule is made of.

Pure. A value that fits no form is still given a key (its letters without spaces), so that every
stored value has one; ``is_possible_phone`` tells intake which to refuse.
"""

import re
import unicodedata

import phonenumbers

REGION = "CN"
SHORTEST_OWN = 1_000_000
SHARED = {
    phonenumbers.PhoneNumberType.TOLL_FREE,
    phonenumbers.PhoneNumberType.SHARED_COST,
    phonenumbers.PhoneNumberType.PREMIUM_RATE,
    phonenumbers.PhoneNumberType.UAN,
}
# Also the virtual numbers that platforms hand out: 13800138000-1234, 13800138000转1234.
_EXTENDED = re.compile(r"^(.*\d{4})(?:-|,|;|#|转|分机|(?:;?ext[.=]?)|x)(\d{1,6})$", re.IGNORECASE)
_MOBILE = re.compile(r"^(?:(?:\+|00)?86)?(1[3-9][0-9]{9})$")
_SPACES = re.compile(r"\s+")


def halfwidth(text: str) -> str:
    """Full-width letters, digits and signs as their plain forms, without spaces at the ends."""
    return unicodedata.normalize("NFKC", text).strip()


def compact(text: str) -> str:
    """``halfwidth``, and no spaces inside either."""
    return unicodedata.normalize("NFKC", _SPACES.sub("", halfwidth(text)))


def phone_key(text: str) -> str:
    """E.164 with China as the home country, ``;ext=`` behind it where there is an extension."""
    plain = compact(text)
    number, extension = _parsed(plain)
    if number is None:
        return compact(plain.upper())
    key: str = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{key};ext={extension}" if extension else key


def is_possible_phone(text: str) -> bool:
    """Could be dialled: mobile, land line, 400 number, short service number or a foreign one."""
    return _parsed(compact(text))[0] is not None


def is_own_phone(text: str) -> bool:
    """Tells one person or household apart.

    A firm's hotline does not, and neither does a platform's virtual number (a mobile with an
    extension), which is handed to somebody else a few weeks later.
    """
    number, extension = _parsed(compact(text))
    if number is None or (number.national_number or 0) < SHORTEST_OWN:
        return False
    kind = phonenumbers.number_type(number)
    virtual = kind == phonenumbers.PhoneNumberType.MOBILE and extension != ""
    return kind not in SHARED and not virtual


def email_key(text: str) -> str:
    """Lower case without spaces. The part before @ too: no provider in use tells case apart."""
    return compact(compact(text).lower())


def order_key(text: str) -> str:
    """An order number in upper case without spaces."""
    return compact(compact(text).upper())


def same_text(one: str, other: str) -> bool:
    """Two names or addresses that differ in nothing but width, case and spaces."""
    return compact(one).casefold() == compact(other).casefold()


def _parsed(plain: str) -> tuple[phonenumbers.PhoneNumber | None, str]:
    """The number, if it can be dialled, and its extension, split off only behind a whole number."""
    extended = _EXTENDED.match(plain)
    mobile = _mobile(plain)
    try:
        if extended and mobile is None:
            number = phonenumbers.parse(_mobile(extended[1]) or extended[1], REGION)
            if phonenumbers.is_valid_number(number):
                return number, extended[2]
        number = phonenumbers.parse(mobile or plain, REGION)
    except phonenumbers.NumberParseException:
        return None, ""
    possible = phonenumbers.is_possible_number(number) or phonenumbers.is_possible_short_number(
        number
    )
    zeros = number.country_code == 86 and number.italian_leading_zero
    dialled = possible and not zeros and (number.national_number or 0) > 99
    return (number, "") if dialled else (None, "")


def _mobile(plain: str) -> str | None:
    """In full, if it is one: by itself the library takes some for a carrier's prefix and more."""
    found = _MOBILE.match(re.sub(r"[-.()]", "", plain))
    return f"+86{found[1]}" if found else None

"""Masks: enough to recognise one's own data, too little to reach or find the person.

Pure. Every value that is not empty comes out different; '' stays ''.
"""

import re

from aftersales.customers import normal

HIDDEN = "****"


def mask_phone(phone: str) -> str:
    """``138****1234``, ``010****1234``, ``+852****1234``; of anything short the last two digits."""
    key = normal.phone_key(phone).partition(";")[0]
    home = key.startswith("+86")
    if home:
        key = key[3:] if re.match(r"\+86(?:1\d{10}|[48]00\d{7})$", key) else "0" + key[3:]
    if key.startswith("+") and len(key) > 10:
        return key[:-8] + HIDDEN + key[-4:]
    if home and len(key) >= 10:
        return key[:3] + HIDDEN + key[-4:]
    return HIDDEN + key[-2:] if len(key) > 5 else HIDDEN


def mask_email(email: str) -> str:
    """``z****@example.com``: the provider shows, for it tells whether a typing slip is likely."""
    local, at, domain = email.rpartition("@")
    return local[:1] + HIDDEN + at + domain if local else HIDDEN


def mask_name(name: str) -> str:
    """The first letter or character alone: ``张**``, ``A**``; the length is hidden too."""
    return name.strip()[:1] + "**" if len(name.strip()) > 1 else "**"


def mask_order_number(number: str) -> str:
    """The last four characters of a long number, as shops print it."""
    return HIDDEN + number[-4:] if len(number) > 8 else HIDDEN


_REGION = re.compile(
    r"^\s*(?:[一-鿿]{2,8}?(?:省|自治区|特别行政区))?\s*(?:[一-鿿]{2,10}?(?:市|自治州|地区|盟))?"
)


def mask_address(address: str) -> str:
    """Province and city where they are written, in Chinese; otherwise nothing."""
    if not address.strip():
        return ""
    region = _REGION.match(address)
    return (region[0].strip() if region else "") + HIDDEN

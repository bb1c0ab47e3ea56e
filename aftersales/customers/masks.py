"""Masks: enough to recognise one's own data, too little to reach or find the person.

Pure. Every value that is not empty comes out different; '' stays ''.
"""

import re

HIDDEN = "****"


def mask_phone(phone: str) -> str:
    """``138****1234``; of shorter numbers only the last two digits; an extension is hidden."""
    plain = re.sub(r"[^0-9A-Za-z]", "", re.split(r"(?:转|ext|x|;|,)", phone, maxsplit=1)[0])
    plain = re.sub(r"^(?:0086|86)(?=1[3-9]\d{9}$)", "", plain)
    virtual = re.match(r"^(1[3-9]\d{9})\d{2,6}$", plain)
    if virtual:
        plain = virtual[1]
    if len(plain) >= 11:
        return plain[:3] + HIDDEN + plain[-4:]
    return HIDDEN + plain[-2:] if len(plain) > 4 else HIDDEN


def mask_email(email: str) -> str:
    """``z****@example.com``: the provider shows, for it tells whether a typing slip is likely."""
    local, at, domain = email.rpartition("@")
    return local[:1] + HIDDEN + at + domain if local else HIDDEN


def mask_name(name: str) -> str:
    """The first letter or character alone: ``张**``, ``A**``; the length is hidden too."""
    return name.strip()[:1] + "**" if len(name.strip()) > 1 else "**"


_REGION = re.compile(
    r"^\s*(?:[一-鿿]{2,8}?(?:省|自治区|特别行政区))?\s*(?:[一-鿿]{2,10}?(?:市|自治州|地区|盟))?"
)


def mask_address(address: str) -> str:
    """Province and city where they are written, in Chinese; otherwise nothing."""
    if not address.strip():
        return ""
    region = _REGION.match(address)
    return (region[0].strip() if region else "") + HIDDEN

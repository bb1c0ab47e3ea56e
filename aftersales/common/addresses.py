"""Where a request comes from: the address that limits and throttles count by."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

UNKNOWN = "unknown"


def client_address(request: HttpRequest) -> str:
    """The client's address: behind n trusted proxies the n-th last that they wrote down.

    What a client itself puts into ``X-Forwarded-For`` stands further left and is never read, and
    whatever is not an address becomes ``UNKNOWN``: it is a key and is logged, so no text of
    theirs may pass.
    """
    hops = [request.META.get("REMOTE_ADDR", "")]
    if settings.TRUSTED_PROXIES:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
        hops = [hop.strip() for hop in forwarded if hop.strip()] + hops
        # One hop a proxy, then REMOTE_ADDR, the nearest proxy. Fewer: somebody went past a proxy.
        hops = hops[-settings.TRUSTED_PROXIES - 1 :]
    return _valid(hops[0])


def network(address: str) -> str:
    """What one household or host commands: an IPv4 address, or the /64 around an IPv6 address."""
    if address == UNKNOWN:
        return address
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return str(parsed)


def _valid(text: str) -> str:
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return UNKNOWN
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        if parsed.scope_id is not None:
            return str(ipaddress.IPv6Address(int(parsed)))
    return str(parsed)

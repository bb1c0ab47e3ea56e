"""Which addresses a webhook may be sent to: none inside our own network, however it is spelled."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

# Not global, or a way to write an IPv4 address that the check would not see through.
_REFUSED = [
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",  # protocol assignments, which Python 3.11 takes for global
        "192.88.99.0/24",  # 6to4 relays
        "::ffff:0:0/96",  # IPv4 mapped
        "64:ff9b::/96",  # NAT64: ends at any IPv4 address
        "64:ff9b:1::/48",
        "2001::/23",  # Teredo and other protocol assignments
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
    )
]

_STANDARD = {"https": 443, "http": 80}


class ForbiddenAddress(ValueError):
    """Malformed, not https, or leads inside; the text is a reason, not the address."""


class UnknownHost(Exception):
    """The name has no address right now."""


@dataclass(frozen=True)
class Target:
    """A parsed address: what is asked for, and of whom."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _STANDARD[self.scheme] else f"{host}:{self.port}"


def parse(url: str, *, private: bool = False) -> Target:
    """The parts of an endpoint's address. ``private`` allows plain http, for tests and development.

    Raises ForbiddenAddress for another scheme, a user name inside, blanks, or no host.
    """
    if not url.isascii() or any(sign <= " " or sign in "\\\x7f" for sign in url):
        raise ForbiddenAddress("characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ForbiddenAddress("unreadable") from error
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise ForbiddenAddress("scheme")
    if "@" in parts.netloc:
        raise ForbiddenAddress("credentials")
    if not parts.hostname or "%" in parts.hostname or port == 0:
        raise ForbiddenAddress("host")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, parts.hostname, port or _STANDARD[parts.scheme], path)


def is_public(text: str) -> bool:
    """A global unicast address, and no IPv4 address in the dress of an IPv6 one."""
    address = ipaddress.ip_address(text.partition("%")[0])
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not address.is_unspecified
        and not any(address.version == net.version and address in net for net in _REFUSED)
    )


def resolve(target: Target, *, private: bool = False) -> str:
    """The one IP address to connect to; the caller connects to it and asks no resolver again.

    Every address of the name must be public: one inner address among them is an attempt to get in.
    Raises ForbiddenAddress, and UnknownHost when the name does not resolve.
    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnknownHost from error
    texts = [str(entry[4][0]) for entry in found]
    if not texts:
        raise UnknownHost
    if not private and not all(is_public(text) for text in texts):
        raise ForbiddenAddress("inside")
    return texts[0]

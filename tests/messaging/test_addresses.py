"""Which addresses a webhook may go to. A stub answers names, the real resolver figures."""

import socket
from typing import Any

import pytest

from aftersales.messaging import addresses, posting, topics, webhooks

PUBLIC = "93.184.215.14"
NAMES = {
    "shop.example": [PUBLIC],
    "shop6.example": ["2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
    "inside.example": ["10.0.0.5"],
    "mixed.example": [PUBLIC, "192.168.1.1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "empty.example": [],
}

# Each leads inside, or is written so that a careless check would not see where it leads.
REFUSED = [
    "http://shop.example/",
    "ftp://shop.example/",
    "file:///etc/passwd",
    "gopher://shop.example/",
    "//shop.example/",
    "https://",
    "https:///path",
    "https://user@shop.example/",
    "https://shop.example@127.0.0.1/",
    "https://user:secret@shop.example/",
    "https://shop.example\\@127.0.0.1/",
    "https://shop.example/\r\nX: y",
    "https://shop.exa mple/",
    "https://shöp.example/",
    "https://localhost/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.000.000.001/",
    "https://0x7f.1/",
    "https://0x7f000001/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0/",
    "https://0.0.0.0/",
    "https://[::]/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25lo]/",
    "https://[fc00::1]/",
    "https://[ff02::1]/",
    "https://10.1.2.3/",
    "https://172.16.0.1/",
    "https://192.168.0.1:8443/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/",
    "https://192.0.0.192/",
    "https://198.18.0.1/",
    "https://192.88.99.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://240.0.0.1/",
    "https://inside.example/",
    "https://mixed.example/",
    "https://mapped.example/",
    "https://INSIDE.example./",
]


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def stub(host: str, port: int, **options: Any) -> list[Any]:
        known = NAMES.get(host.lower().rstrip("."))
        if known is None:
            return real(host, port, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port)) for text in known]

    monkeypatch.setattr(socket, "getaddrinfo", stub)


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that anything was sent to."""
    seen: list[str] = []

    def post(target: addresses.Target, address: str, **rest: Any) -> posting.Answer:
        seen.append(address)
        raise posting.NoAnswer("Stub")

    monkeypatch.setattr(posting, "post", post)
    return seen


@pytest.mark.parametrize("url", REFUSED)
def test_it_sends_nothing_inside(url: str, posted: list[str]) -> None:
    outcome = webhooks.send(webhooks.Call(url, {}, b""))
    assert isinstance(outcome, topics.Refused)
    assert outcome.code == "ForbiddenAddress"
    assert posted == []


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://shop.example/hook?x=1", PUBLIC),
        ("https://shop.example:8443/", PUBLIC),
        ("https://8.8.8.8/", "8.8.8.8"),
        ("https://[2606:4700::1111]/", "2606:4700::1111"),
        ("https://shop6.example/", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"),
    ],
)
def test_it_sends_to_the_address_that_was_checked(
    url: str, address: str, posted: list[str]
) -> None:
    webhooks.send(webhooks.Call(url, {}, b""))
    assert posted == [address]


def test_it_asks_the_resolver_once(monkeypatch: pytest.MonkeyPatch, posted: list[str]) -> None:
    """A name that changes its mind between check and connection gets nobody in."""
    answers = iter([PUBLIC, "127.0.0.1"])

    def rebind(host: str, port: int, **options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebind)
    webhooks.send(webhooks.Call("https://rebind.example/", {}, b""))
    assert posted == [PUBLIC]
    assert next(answers) == "127.0.0.1"


@pytest.mark.parametrize("name", ["empty.example", "no-such-host.invalid", "a" * 70 + ".example"])
def test_it_tries_later_when_a_name_has_no_address(name: str, posted: list[str]) -> None:
    outcome = webhooks.send(webhooks.Call(f"https://{name}/", {}, b""))
    assert isinstance(outcome, topics.TryLater)
    assert (outcome.code, posted) == ("UnknownHost", [])


def test_it_keeps_host_port_and_query() -> None:
    target = addresses.parse("https://Shop.example:8443/a/b?c=d#e")
    assert (target.host, target.port, target.path) == ("shop.example", 8443, "/a/b?c=d")
    assert target.host_header == "shop.example:8443"
    assert addresses.parse("https://[2606:4700::1111]/").host_header == "[2606:4700::1111]"
    assert addresses.parse("https://shop.example:443").host_header == "shop.example"


def test_it_allows_plain_http_inside_only_where_the_caller_says_so() -> None:
    target = addresses.parse("http://127.0.0.1:8000/", private=True)
    assert addresses.resolve(target, private=True) == "127.0.0.1"
    with pytest.raises(addresses.ForbiddenAddress):
        addresses.parse("file:///etc/passwd", private=True)

"""The client's address: from a fixed number of trusted proxies, and an address or nothing."""

import pytest
from django.test import RequestFactory, override_settings

from aftersales.common.addresses import UNKNOWN, client_address, network


@pytest.mark.parametrize(
    ("proxies", "forwarded", "remote", "expected"),
    [
        (0, None, "203.0.113.7", "203.0.113.7"),
        (0, "198.51.100.1", "203.0.113.7", "203.0.113.7"),
        (1, "198.51.100.1", "10.0.0.1", "198.51.100.1"),
        (1, "6.6.6.6, 198.51.100.1", "10.0.0.1", "198.51.100.1"),
        (2, "6.6.6.6, 198.51.100.1, 10.0.0.2", "10.0.0.1", "198.51.100.1"),
        (2, "198.51.100.1", "10.0.0.1", "198.51.100.1"),
        (1, None, "10.0.0.1", "10.0.0.1"),
        (1, "", "10.0.0.1", "10.0.0.1"),
        (1, "6.6.6.6, <b>x</b>", "10.0.0.1", UNKNOWN),
        (1, "198.51.100.1:8080", "10.0.0.1", UNKNOWN),
        (1, "2001:db8::1", "10.0.0.1", "2001:db8::1"),
        (0, None, "::ffff:203.0.113.7", "203.0.113.7"),
        (0, None, "fe80::1%eth0", "fe80::1"),
        (0, None, "", UNKNOWN),
        (1, "198.51.100.1", "", "198.51.100.1"),
    ],
)
def test_it_reads_the_nth_last_hop_and_only_addresses(
    proxies: int, forwarded: str | None, remote: str, expected: str
) -> None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    request = RequestFactory().get("/", headers=headers, REMOTE_ADDR=remote)
    with override_settings(TRUSTED_PROXIES=proxies):
        assert client_address(request) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        (UNKNOWN, UNKNOWN),
    ],
)
def test_it_takes_an_ipv6_network_for_one_place(address: str, expected: str) -> None:
    assert network(address) == expected

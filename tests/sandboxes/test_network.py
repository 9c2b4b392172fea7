"""Which hosts may be reached: the rules, the decision on a name, the check of its addresses."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.network.rules import HostRule, Network, Refused, check_addresses, decide, parse_rule, plain_name


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("example.org", HostRule("example.org")),
        ("EXAMPLE.org.", HostRule("example.org")),
        ("example.org:443", HostRule("example.org", ports=(443,))),
        ("*.example.org", HostRule("example.org", below=True)),
        ("*.Example.org:8080", HostRule("example.org", below=True, ports=(8080,))),
        ("xn--bcher-kva.example", HostRule("xn--bcher-kva.example")),
        (" pypi.org ", HostRule("pypi.org")),
    ],
)
def test_rules(text: str, rule: HostRule) -> None:
    assert parse_rule(text) == rule
    assert parse_rule(str(rule)) == rule


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "not the name of a host"),
        ("*", "only at the beginning"),
        ("*.org", "top-level"),
        ("*.", "not the name"),
        ("ex*mple.org", "only at the beginning"),
        ("*.*.example.org", "only at the beginning"),
        ("https://example.org/", "the name alone"),
        ("user@example.org", "the name alone"),
        ("example.org:", "no port"),
        ("example.org:0", "no port"),
        ("example.org:65536", "no port"),
        ("example.org:+80", "no port"),
        ("example.org:80:80", "no port"),
        ("127.0.0.1", "IP address"),
        ("10.1", "IP address"),
        ("[::1]:443", "IP address"),
        ("localhost", "this machine"),
        ("a.localhost:80", "this machine"),
        ("bücher.example", "xn--"),
        ("exa mple.org", "not the name"),
        ("example..org", "not the name"),
        ("-a.example", "not the name"),
        ("a" * 64 + ".org", "not the name"),
    ],
)
def test_what_is_no_rule_gets_one_sentence(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word) as caught:
        parse_rule(text)
    assert "\n" not in str(caught.value)


RULES = tuple(map(parse_rule, ("example.org", "api.example.net:8443", "*.files.example", "a_b.example")))
LISTED = Network("allowlist", RULES)


@pytest.mark.parametrize(
    ("host", "port", "name"),
    [
        ("example.org", 80, "example.org"),
        ("example.org", 443, "example.org"),
        ("EXAMPLE.Org.", 443, "example.org"),
        ("api.example.net", 8443, "api.example.net"),
        ("a.files.example", 80, "a.files.example"),
        ("a.b.FILES.example.", 443, "a.b.files.example"),
        ("a_b.example", 80, "a_b.example"),
    ],
)
def test_allowed(host: str, port: int, name: str) -> None:
    assert decide(LISTED, host, port) == name


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("example.org", 22),
        ("example.org", 8443),
        ("api.example.net", 443),
        ("files.example", 443),
        ("xfiles.example", 443),
        ("www.example.org", 443),
        ("example.org.evil.test", 443),
        ("evilexample.org", 443),
        ("example.org..", 443),
        (".example.org", 443),
        ("example.org\0", 443),
        ("example.org\0.evil.test", 443),
        ("example.org\n", 443),
        ("example.org ", 443),
        ("example.org%00", 443),
        ("example.org:443", 443),
        ("user@example.org", 443),
        ("exаmple.org", 443),  # a Cyrillic letter
        ("example。org", 443),  # a full stop that IDNA takes for a dot
        ("example.org", 0),
        ("", 443),
        (".", 443),
    ],
)
def test_refused(host: str, port: int) -> None:
    with pytest.raises(Refused):
        decide(LISTED, host, port)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0X7F.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "1.1.1.1",
        "[::1]",
        "::1",
        "[::ffff:127.0.0.1]",
        "[fe80::1%eth0]",
        "fe80::1%25eth0",
        "example.0x",
        "example.127",
        "１２７.0.0.1",  # full-width digits
    ],
)
def test_addresses_are_no_names_in_any_spelling(host: str) -> None:
    any_host = (HostRule(host.lower().removesuffix("."), ports=(80,)),)
    with pytest.raises(Refused):
        decide(Network("allowlist", any_host), host, 80)


def test_an_empty_list_lets_nothing_through() -> None:
    assert Network() == Network("none", ())
    with pytest.raises(Refused, match="no rule"):
        decide(Network("allowlist"), "example.org", 443)


@pytest.mark.parametrize(
    ("refused", "host", "through"),
    [
        ("bad.files.example", "bad.files.example", False),
        ("bad.files.example", "BAD.files.example.", False),
        ("bad.files.example:22", "bad.files.example", False),
        ("bad.files.example", "a.files.example", True),
        ("bad.files.example", "a.bad.files.example", True),
        ("*.bad.files.example", "a.bad.files.example", False),
        ("*.bad.files.example", "bad.files.example", True),
        ("*.files.example", "a.files.example", False),
        ("*.example", "example.org", True),
    ],
)
def test_what_is_refused_is_refused_below_a_listed_name(refused: str, host: str, through: bool) -> None:
    rule = HostRule("example", below=True) if refused == "*.example" else parse_rule(refused)
    network = Network("allowlist", RULES, (rule,))
    if through:
        assert decide(network, host, 443) == plain_name(host)
    else:
        with pytest.raises(Refused, match="a rule refuses it"):
            decide(network, host, 443)


def test_what_is_refused_is_said() -> None:
    network = Network("allowlist", (parse_rule("*.example.org"),), (parse_rule("bad.example.org"),))
    assert str(network) == "allowlist: *.example.org (but not bad.example.org)"
    assert str(Network("allowlist", (), network.refused)) == "allowlist: no hosts"


NAMES = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,30}[A-Za-z0-9_])?\.?", fullmatch=True)


@given(st.text(max_size=40) | NAMES, st.integers(-1, 70000))
def test_only_names_that_a_rule_gives_get_through(host: str, port: int) -> None:
    try:
        name = decide(LISTED, host, port)
    except Refused:
        return
    assert name == plain_name(name)
    assert any(rule.matches(name, port) for rule in RULES)


@given(NAMES)
def test_what_the_system_would_take_for_an_address_is_no_name(host: str) -> None:
    try:
        socket.inet_aton(host)
    except OSError:
        return
    with pytest.raises(Refused):
        plain_name(host)


@given(NAMES)
def test_a_name_has_one_form(host: str) -> None:
    try:
        name = plain_name(host)
    except Refused:
        return
    assert plain_name(name) == plain_name(host.upper()) == plain_name(name + ".") == name


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.0.1",
        "168.63.129.16",
        "169.254.169.254",
        "169.254.1.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.5",
        "224.0.0.1",
        "239.1.2.3",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:0:7f00:1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:7f00:1::80ff:fffe",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fd12::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "2d00::5%1",
        "nothing",
        "",
    ],
)
def test_addresses_that_are_never_dialled(address: str) -> None:
    with pytest.raises(Refused):
        check_addresses([address])
    with pytest.raises(Refused):
        check_addresses(["2d00::5", address])


def test_public_addresses_are_dialled_as_they_were_checked() -> None:
    public = ["1.1.1.1", "198.17.0.1", "2d00::5", "2002:101:101::1", "64:ff9b::101:101"]
    assert check_addresses(public) == tuple(public)


def test_no_address_is_not_enough() -> None:
    with pytest.raises(Refused, match="no address"):
        check_addresses([])


@given(st.integers(0, (1 << 32) - 1))
def test_ipv4_that_python_does_not_call_public_is_refused_in_every_disguise(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    if address.is_global and not address.is_multicast:
        return
    for disguise in (number, 0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80):
        with pytest.raises(Refused):
            check_addresses([str(ipaddress.IPv6Address(disguise))])
    with pytest.raises(Refused):
        check_addresses([str(address)])

from __future__ import annotations

import base64

import pytest

from hub.alerting.receivers.options import Address, basic, decode
from hub.core.redaction import Secret


@pytest.mark.parametrize(
    "given", ["https://example.com", "http://127.0.0.1:9093/am", " https://user:pw@example.com/a?b=c "]
)
def test_an_address(given):
    assert Address(given.strip()) == decode(Address, given)


@pytest.mark.parametrize(
    "given",
    ["", " ", "example.com", "ftp://example.com", "https://", "https://a b", "https://[", "https://a\r\nb", 7, None],
)
def test_what_is_no_address_is_refused_and_not_shown(given):
    with pytest.raises(ValueError, match="Expected") as caught:
        decode(Address, given)
    assert str(caught.value) in (
        "Expected text on one line",
        "Expected an address that begins with https:// or http://",
    )


def test_a_secret_is_any_text_on_one_line():
    assert Secret("a b") == decode(Secret, " a b ")
    with pytest.raises(ValueError, match="one line"):
        decode(Secret, "a\nb")


def test_basic_authentication_is_a_secret_too():
    header = basic("ann", Secret("open sesame"))
    assert ("[secret]", b"ann:open sesame") == (str(header), base64.b64decode(header.value.removeprefix("Basic ")))

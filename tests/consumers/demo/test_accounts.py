"""Tokens of the demo shop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.demo.accounts import Customer, make_token, read_token
from consumers.demo.tenants import TENANTS


@given(st.text(min_size=1), st.sampled_from(TENANTS))
def test_a_token_says_who_it_was_made_for(name, tenant):
    assert read_token(make_token(name, tenant)) == Customer(name, tenant)


@pytest.mark.parametrize(
    "token", ["", "ada@acme", "ada@acme:forged", make_token("ada", "hooli"), make_token("", "acme")]
)
def test_no_other_token_opens_anything(token):
    assert read_token(token).is_anonymous


def test_a_customer_looks_like_a_user():
    ada = Customer("ada", "acme")
    assert (ada.is_authenticated, ada.is_anonymous, ada.get_username()) == (True, False, "ada@acme")

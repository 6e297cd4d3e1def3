"""What the hub keeps in the database."""

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from hub.models import AccessToken, TenantOperator

pytestmark = pytest.mark.django_db


def test_an_operator_is_bound_to_a_tenant_once():
    user = get_user_model().objects.create_user("ops")
    binding = TenantOperator.objects.create(user=user, tenant="acme")
    assert str(binding) == "ops → acme"
    with pytest.raises(IntegrityError), transaction.atomic():
        TenantOperator.objects.create(user=user, tenant="acme")


def test_bindings_go_with_the_user():
    user = get_user_model().objects.create_user("ops")
    TenantOperator.objects.create(user=user, tenant="acme")
    user.delete()
    assert not TenantOperator.objects.exists()


def test_names_and_digests_of_tokens_are_unique():
    AccessToken.objects.create(name="one", digest="d1")
    for again in ({"name": "one", "digest": "d2"}, {"name": "two", "digest": "d1"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            AccessToken.objects.create(**again)


def test_a_token_watches_all_tenants_and_never_expires_unless_told():
    token = AccessToken.objects.create(name="one", digest="d")
    token.refresh_from_db()
    assert (str(token), token.view, token.operate, token.tenants) == ("one", True, False, None)
    assert (token.expires_at, token.last_used_at) == (None, None)
    assert token.created_at is not None


def test_tenants_of_a_token_come_back_as_they_were():
    AccessToken.objects.create(name="one", digest="d", tenants=["acme", ""])
    assert AccessToken.objects.get().tenants == ["acme", ""]

"""The one-time operator."""

import pytest
from django.contrib.auth import authenticate, get_user_model

from consumers.demo.operators import create_operator, remove_operators

pytestmark = pytest.mark.django_db


def test_an_operator_may_log_in_and_see():
    operator = create_operator()
    user = authenticate(username=operator.name, password=operator.password)
    assert user is not None
    assert user.has_perm("hub.view_ops")
    assert not user.is_staff
    assert not user.is_superuser


def test_no_two_operators_are_alike():
    first, second = create_operator(), create_operator()
    assert first.name != second.name
    assert first.password != second.password


@pytest.mark.slow
def test_only_one_time_operators_are_removed():
    get_user_model().objects.create_user("operator-7", password="chosen by somebody")
    operator = create_operator()
    assert remove_operators() == 1
    assert list(get_user_model().objects.values_list("username", flat=True)) == ["operator-7"]
    assert authenticate(username=operator.name, password=operator.password) is None

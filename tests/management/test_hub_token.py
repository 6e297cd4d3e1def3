from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from hub import access
from hub.access import Operator, Rights
from hub.models import AccessToken

pytestmark = pytest.mark.django_db


def run(*arguments, capsys):
    call_command(*arguments)
    return capsys.readouterr()


def test_it_shows_a_token_once_and_stores_none(capsys):
    printed = run(
        "hub_token", "create", "grafana", "--tenant", "acme", "--tenant", "globex", "--days", "30", capsys=capsys
    )
    token = printed.out.strip()
    assert access.operator_of_token(token) == Operator(
        "grafana", Rights(view=True, tenants=frozenset({"acme", "globex"}))
    )
    assert token not in str(list(AccessToken.objects.values()))
    listed = run("hub_token", "list", capsys=capsys).out
    assert "grafana | view | acme, globex" in listed
    assert token not in listed
    run("hub_token", "revoke", "grafana", capsys=capsys)
    assert access.operator_of_token(token) is None


def test_it_tells_what_is_wrong(capsys):
    run("hub_token", "create", "one", "--operate", capsys=capsys)
    for arguments, words in (
        (("create", "one"), "already"),
        (("create", ""), "1 to 100"),
        (("create", "x" * 101), "1 to 100"),
        (("create", "two", "--days", "0"), "more than 0"),
        (("create", "two", "--days", "nan"), "more than 0"),
        (("revoke", "three"), "no token 'three'"),
    ):
        with pytest.raises(CommandError, match=words):
            call_command("hub_token", *arguments)
    assert "view and operate | all tenants" in run("hub_token", "list", capsys=capsys).out

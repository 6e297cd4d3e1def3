from __future__ import annotations

import subprocess
import sys

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client

from hub import access
from hub.access import Rights
from tests.support.processes import ROOT, environment

PASSWORD = "correct horse battery staple"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def run(*arguments, capsys):
    call_command(*arguments)
    return capsys.readouterr()


def test_it_makes_an_operator_with_a_password_shown_once(capsys):
    printed = run("hub_operator", "ops", capsys=capsys).out
    password = printed.rpartition(" ")[2].strip()
    assert Client().login(username="ops", password=password)
    user = get_user_model().objects.get(username="ops")
    assert access.rights_of(user) == Rights(view=True)
    assert not user.is_staff
    assert "Password" not in run("hub_operator", "ops", capsys=capsys).out
    assert Client().login(username="ops", password=password)


def test_it_changes_what_is_named_and_nothing_else(capsys):
    user = get_user_model().objects.create_user("ops", password=PASSWORD)

    def after(*arguments):
        run("hub_operator", "ops", *arguments, capsys=capsys)
        return access.rights_of(user)

    acme, both = frozenset({"acme"}), frozenset({"acme", "globex"})
    assert after("--tenant", "acme", "--tenant", "globex", "--operate") == Rights(view=True, operate=True, tenants=both)
    assert after("--tenant", "acme") == Rights(view=True, operate=True, tenants=acme)
    assert after() == Rights(view=True, operate=True, tenants=acme)
    assert after("--no-operate") == Rights(view=True, tenants=acme)
    assert after("--all-tenants") == Rights(view=True)
    assert Client().login(username="ops", password=PASSWORD)


def hub_operator(folder, *arguments, password):
    return subprocess.run(
        [sys.executable, "manage.py", "hub_operator", *arguments, "--password-stdin"],
        cwd=ROOT, env=environment(HUB_VAR=str(folder)), input=password, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_it_reads_a_password_and_refuses_a_weak_one(tmp_path):
    migrated = subprocess.run(
        [sys.executable, "manage.py", "migrate", "-v", "0"],
        cwd=ROOT, env=environment(HUB_VAR=str(tmp_path)), capture_output=True, check=False,
    )  # fmt: skip
    assert migrated.returncode == 0, migrated.stderr
    weak = hub_operator(tmp_path, "ops", password="short\n")
    assert weak.returncode != 0
    assert "too short" in weak.stderr
    good = hub_operator(tmp_path, "ops", "--tenant", "acme", password=PASSWORD + "\n")
    assert good.returncode == 0, good.stderr
    assert "ops is created: may watch, on acme." in good.stdout
    assert PASSWORD not in good.stdout

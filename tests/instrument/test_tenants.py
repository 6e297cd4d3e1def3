from __future__ import annotations

import pytest

from hub.instrument.tenants import tenant_of_scope


def by_path(scope):
    return scope["path"]


def nobody(scope):
    return None


def number(scope):
    return 7


def broken(scope):
    raise LookupError("no such shop")


@pytest.mark.parametrize(("rule", "tenant"), [(by_path, "/shop"), (nobody, ""), (number, "7")])
def test_the_host_s_rule_says_the_tenant(setup, rule, tenant):
    setup(TENANT=f"{__name__}.{rule.__name__}")
    assert tenant == tenant_of_scope({"path": "/shop"})


def test_without_a_rule_or_a_scope_there_is_none(setup):
    setup()
    assert tenant_of_scope({"path": "/shop"}) == ""
    setup(TENANT=f"{__name__}.by_path")
    assert tenant_of_scope(None) == ""


def test_a_rule_that_fails_is_a_fault_and_no_tenant(setup, faults):
    setup(TENANT=f"{__name__}.broken")
    assert tenant_of_scope({}) == ""
    assert {"HUB['TENANT']": 1} == dict(faults)

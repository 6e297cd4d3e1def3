"""Open files."""

import resource

from consumers.demo.traffic.limits import RESERVE, allow_connections


def test_there_is_room_for_what_is_allowed():
    allowed = allow_connections(500)
    assert allowed == 500
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 500 + RESERVE


def test_more_than_the_system_lets_is_not_allowed():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        allowed = allow_connections(10**9)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert hard in (soft, resource.RLIM_INFINITY)
        assert allowed <= 10**9
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

from __future__ import annotations

import pytest

from hub.core.errors import BusError, ConfigurationError, CursorError, HubError


@pytest.mark.parametrize("error", [ConfigurationError, BusError, CursorError])
def test_all_errors_grow_on_one_tree(error):
    assert issubclass(error, HubError)


@pytest.mark.parametrize("reason", ["epoch", "expired", "future"])
def test_a_cursor_error_names_the_cursor_the_reason_and_the_remedy(reason):
    error = CursorError(reason, "beef-7")
    assert reason == error.reason
    assert f"cannot resume from 'beef-7': {reason}; take a new snapshot" == str(error)

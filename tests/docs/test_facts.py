"""
Channels' own code that the mixin replaces is still the code it was written from.

When one of these fails, read the change in Channels, decide what it means for ``hub/instrument``, and only then write
the new digest here.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from channels import consumer, db, utils

#: Replaced or repeated by the mixin (channels 4.3.2): see docs/architecture.md, "Problematic parts".
CODE: dict[str, tuple[Callable[..., Any], str]] = {
    "AsyncConsumer.__call__": (consumer.AsyncConsumer.__call__, "aeb71ad77bfe5cf0"),
    "AsyncConsumer.dispatch": (consumer.AsyncConsumer.dispatch, "63486b3b9d8cd666"),
    "SyncConsumer.dispatch": (consumer.SyncConsumer.__dict__["dispatch"].func, "790dcce1b3cf8335"),
    "await_many_dispatch": (utils.await_many_dispatch, "e6c1e494891235e0"),
    "aclose_old_connections": (db.aclose_old_connections, "8bd812d8e2933c0b"),
}


def digest(code: Callable[..., Any]) -> str:
    """Of the source, whatever its layout."""
    return hashlib.sha256(" ".join(inspect.getsource(code).split()).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", CODE)
def test_the_code_that_the_mixin_replaces_is_unchanged(name):
    code, known = CODE[name]
    assert known == digest(code), f"{name} of Channels has changed:\n{inspect.getsource(code)}"

"""
The throttled sweep of old database connections.

Channels closes unusable and outdated connections before *every* dispatch, one hop to the shared sync thread each
time. That is needed only if a query has run since the last sweep, because only a query can break or outdate a
connection; or if a second has passed while connections exist, for those that age or are lost while nobody queries.

Nobody waits for it: the thread takes calls in their order, so that whatever a handler asks it for finds the connections
swept. A handler that had to wait would stand twice in the thread's queue, once for the sweep and once for its query,
behind others who stand there once.
"""

import weakref
from collections.abc import Callable
from contextvars import copy_context
from threading import Lock
from typing import Any

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from hub.clock import SYSTEM
from hub.faults import record_fault


class Sweep:
    """
    Decides when the sweep is due, and has it run.

    Args:
        interval: Seconds after which a sweep is due even without a query, while connections exist.
        monotonic: The clock.
    """

    def __init__(self, interval: float, monotonic: Callable[[], float] = SYSTEM.monotonic) -> None:
        self.interval = interval
        self._monotonic = monotonic
        self._dirty = False
        self._begun = False
        self._waiting = False
        self._swept_at = 0.0
        self._lock = Lock()
        self._connections: weakref.WeakSet[BaseDatabaseWrapper] = weakref.WeakSet()
        connection_created.connect(self._connection_created, dispatch_uid=f"hub.sweep.{id(self)}")

    def due(self) -> bool:
        """Whether old connections must be swept before the next dispatch; one that waits for its turn will do."""
        if self._waiting or not self._dirty:
            now = self._monotonic()
            if now - self._swept_at < self.interval:
                return False
            self._swept_at = now
        # Before looking: a query that runs meanwhile makes the next sweep due.
        self._dirty = False
        return not self._begun or self._connected()

    def start(self) -> None:
        """Sweep as Channels does, in its thread, before whatever that is asked for from now on."""
        self._begun = self._waiting = True
        self._dirty = False
        self._swept_at = self._monotonic()
        # In a context of its own: what asgiref sets and restores there is for whoever waits.
        copy_context().run(self._hand_over)

    def _hand_over(self) -> None:
        """Take the call as far as into the queue of the thread that asgiref chooses, without a turn of the loop."""
        call = sync_to_async(self._sweep)()
        call.send(None)
        call.close()

    def _sweep(self) -> None:
        self._waiting = False
        try:
            close_old_connections()
            # Those that this thread opened before anybody watched, for an HTTP request perhaps.
            for connection in connections.all(initialized_only=True):
                self._watch(connection)
        except Exception as error:  # noqa: BLE001 - the border: it is nobody's in particular
            record_fault("sweep", error)

    def _connected(self) -> bool:
        """Whether any thread has an open connection: if none has, there is nothing to sweep."""
        with self._lock:
            return any(connection.connection is not None for connection in self._connections)

    def _connection_created(self, connection: BaseDatabaseWrapper, **_: object) -> None:
        """A thread has opened a connection: watch its queries, from any thread and loop."""
        self._watch(connection)
        self._dirty = True

    def _watch(self, connection: BaseDatabaseWrapper) -> None:
        with self._lock:
            if connection not in self._connections:
                self._connections.add(connection)
                connection.execute_wrappers.append(self._mark)

    def _mark(self, execute: Callable[..., Any], sql: Any, params: Any, many: Any, context: Any) -> Any:  # noqa: ANN401 - Django's own signature
        self._dirty = True
        return execute(sql, params, many, context)

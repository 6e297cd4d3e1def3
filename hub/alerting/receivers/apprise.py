"""
The long tail: whatever https://github.com/caronc/apprise can tell, with the extra ``channels-hub[apprise]``.

Apprise says only whether it went well, and reads whole answers; messages through it have no deduplication key.
"""

import importlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from hub.alerting.message import Message, cut
from hub.alerting.receivers.base import ATTEMPT_TIMEOUT
from hub.alerting.receivers.email import text_of
from hub.alerting.receivers.options import Options, PerMinute
from hub.alerting.receivers.patience import Patience
from hub.core.groups import ACKNOWLEDGED
from hub.core.redaction import Secret
from hub.core.rules import CRITICAL, HIGH

MAX_TITLE = 200
MISSING = "apprise is not installed"
#: Loggers that would write addresses down, and those hold tokens.
_TALKATIVE = ("apprise", "urllib3.connectionpool")
_SILENT: ContextVar[bool] = ContextVar("hub_silent", default=False)


class AppriseOptions(Options, frozen=True, kw_only=True):
    """
    Of a receiver through apprise.

    Attributes:
        url: One address of apprise's, such as ``ntfy://…``.
    """

    url: Secret
    per_minute: PerMinute = 30.0

    def __post_init__(self) -> None:
        try:
            apprise = importlib.import_module("apprise")
        except ImportError:
            raise ValueError(f"{MISSING}: python -m pip install channels-hub[apprise]") from None
        with _silence():
            if apprise.Apprise.instantiate(self.url.value) is None:
                raise ValueError("Expected an address that apprise knows in `url`")


class Apprise:
    """Tells whoever apprise reaches; see `hub.alerting.receivers.base.Receiver`."""

    kind = "apprise"

    def __init__(self, name: str, options: AppriseOptions, timeout: float = ATTEMPT_TIMEOUT) -> None:
        self.name, self.per_minute = name, options.per_minute
        self._url = options.url
        self._patience = Patience(timeout)

    def deliver(self, message: Message, memory: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - the contract's
        """See the contract; there is nothing to remember."""
        self._patience.call(lambda: self._notify(message))
        return {}

    def _notify(self, message: Message) -> str:
        apprise = importlib.import_module("apprise")
        told = {"title": cut(message.title, MAX_TITLE), "body": text_of(message), "notify_type": _type_of(message)}
        try:
            with _silence():
                sender = apprise.Apprise()
                return "" if sender.add(self._url.value) and sender.notify(**told) else "apprise could not deliver it"
        except Exception as error:  # noqa: BLE001 - a hundred services, and any error may hold an address
            return f"apprise failed: {type(error).__name__}"


def _type_of(message: Message) -> str:
    if message.over:
        return "success"
    if message.notice.kind == ACKNOWLEDGED:
        return "info"
    return "failure" if message.notice.severity in (CRITICAL, HIGH) else "warning"


@contextmanager
def _silence() -> Iterator[None]:
    """Drop what is logged of addresses here, and in threads of apprise's that carry this context on."""
    for name in _TALKATIVE:
        # It stays: such a thread may go on for longer than anybody waits.
        logging.getLogger(name).addFilter(_is_heard)
    token = _SILENT.set(True)
    try:
        yield
    finally:
        _SILENT.reset(token)


def _is_heard(_: logging.LogRecord) -> bool:
    return not _SILENT.get()

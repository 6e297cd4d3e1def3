"""The one tree of errors. Each says what was wrong, with what value, and what to do."""


class HubError(Exception):
    """Anything the hub refuses; never raised into a monitored connection."""


class ConfigurationError(HubError):
    """A setting, a class or a metric is declared wrongly; raised where it is declared."""


class BusError(HubError):
    """The bus can't be reached or broke its contract."""


class NotRunningError(HubError):
    """This process has no node, or none that answers, to ask."""


class CursorError(HubError):
    """
    A cursor that events can't be replayed from.

    Attributes:
        reason: ``epoch`` (of another boot), ``expired`` (older than what is kept) or ``future``.
    """

    def __init__(self, reason: str, cursor: str) -> None:
        super().__init__(f"cannot resume from {cursor!r}: {reason}; take a new snapshot")
        self.reason = reason

"""
How long a member of presence may be silent, per consumer: settings, no states.
"""

from dataclasses import dataclass

from hub.core.errors import ConfigurationError

#: A member is stale after so many heartbeat intervals of silence; its time-out can't be shorter.
SILENT_INTERVALS = 2


@dataclass(frozen=True, slots=True)
class Policy:
    """
    How long a member may be silent, in seconds.

    Attributes:
        interval: Between two heartbeats of a negotiated client.
        timeout: After so much silence a negotiated client is offline, a plain one idle.
        grace: How long a member stays after its last connection was closed cleanly.
    """

    interval: float = 30.0
    timeout: float = 300.0
    grace: float = 5.0

    def __post_init__(self) -> None:
        if not self.interval > 0 or not self.grace >= 0:
            raise ConfigurationError(
                f"a heartbeat interval of {self.interval:g} s and a grace of {self.grace:g} s can't be used; give an"
                " interval above 0 and a grace of at least 0"
            )
        if not self.timeout >= SILENT_INTERVALS * self.interval:
            raise ConfigurationError(
                f"a presence time-out of {self.timeout:g} s is less than two heartbeat intervals of {self.interval:g}"
                f" s; give at least {SILENT_INTERVALS * self.interval:g} s"
            )

    @property
    def stale_after(self) -> float:
        """Silence of a negotiated client after which its member is stale."""
        return SILENT_INTERVALS * self.interval

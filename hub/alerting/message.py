"""What a notice says, in words and figures that every receiver puts into its own format."""

from dataclasses import dataclass

from hub.core.groups import Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """
    A notice, told to people.

    Attributes:
        notice: What it tells: severity, kind, alerts, deduplication key (``notice.incident``).
        curves: The last values of alerts, by key, oldest first, for a sparkline; may lack some.
        page: Where the operator page shows the incident, an absolute URL; empty: nobody has said where the page is.
        site: What the deployment is called.
    """

    notice: Notice
    curves: dict[str, tuple[float, ...]]
    page: str = ""
    site: str = ""

    @property
    def incident(self) -> str:
        """The deduplication key of the incident."""
        return self.notice.incident

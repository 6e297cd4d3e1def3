"""What the client library refuses."""

from hub.core.errors import HubError


class UnsentLimitError(HubError):
    """The connection is away, and as much waits for its return as may wait."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(
            f"the connection is away and no more than {limit} {what} may wait for its return; send less, wait until"
            f" `connected` is true, or give connect() a higher limit"
        )

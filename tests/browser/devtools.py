"""
A Chromium as people run it, spoken to over its DevTools protocol.

Playwright keeps every page visible, focused and awake; hidden tabs, their slow timers and frozen pages can be had only
without it. Where nothing of that matters, Playwright is the better friend.
"""

from __future__ import annotations

import itertools
import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from websockets.sync.client import ClientConnection, connect

from tests.support.browser import FLAGS
from tests.support.processes import Process, environment, free_port
from tests.support.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT_SECONDS = 20.0


class Tab:
    """A tab."""

    def __init__(self, browser: Chromium, target: str) -> None:
        self.browser = browser
        self.target = target
        self.session = browser.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.send("Page.enable")
        self.send("Network.enable")

    def send(self, method: str, **parameters: Any) -> Any:
        return self.browser.send(method, session=self.session, **parameters)

    def evaluate(self, expression: str) -> Any:
        """What an expression comes to; a promise is waited for."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str, seconds: float = TIMEOUT_SECONDS) -> Any:
        """Wait until an expression is true; gives what it then is."""
        deadline = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {expression}"
            time.sleep(0.05)
        return value

    def open(self, url: str, until: str = "document.readyState === 'complete'") -> None:
        self.send("Page.navigate", url=url)
        self.wait_for(f"location.href === {json.dumps(url)} && {until}")

    def bring_to_front(self) -> None:
        self.send("Page.bringToFront")

    def set_offline(self, offline: bool) -> None:
        self.send(
            "Network.emulateNetworkConditions", offline=offline, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )

    def freeze(self) -> None:
        self.send("Page.setWebLifecycleState", state="frozen")

    def thaw(self) -> None:
        self.send("Page.setWebLifecycleState", state="active")


class Chromium:
    """The browser."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket
        self._numbers = itertools.count(1)

    def send(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """
        Call a method of the protocol.

        Raises:
            AssertionError: The browser says that it can't.
        """
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        self._websocket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            answer = json.loads(self._websocket.recv(timeout=TIMEOUT_SECONDS))
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def tab(self) -> Tab:
        """A new tab, in front of the others."""
        return Tab(self, self.send("Target.createTarget", url="about:blank")["targetId"])


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """Start one, with nothing stored."""
    port = free_port()
    command = [
        require("chromium"), "--headless", *FLAGS, f"--remote-debugging-port={port}",
        f"--user-data-dir={folder / 'profile'}", "about:blank",
    ]  # fmt: skip
    variables = environment(HOME=str(folder))
    with Process("chromium", command, port=port, log=folder / "chromium.log", env=variables) as process:
        with urlopen(f"{process.url}/json/version") as answer:  # noqa: S310  - our own
            address = json.load(answer)["webSocketDebuggerUrl"]
        with connect(address, max_size=None, compression=None) as websocket:
            yield Chromium(websocket)

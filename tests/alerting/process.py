"""
One process of alerting, moved step by step by what it reads: ``decide 0``, ``send 12``, ``over 60``.

Each names a moment, in seconds after the machine's time of the start of the day. What was done is printed.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
django.setup()

from hub.alerting.message import Message
from hub.alerting.receivers.base import DeliveryError
from tests.alerting.stage import Sink, Site, backlog, make_setup
from tests.handclock import HandClock

START = 1_000_000.0


class Poster(Sink):
    """A receiver over HTTP: it posts incident and number."""

    def deliver(self, message: Message, memory: Mapping[str, Any]) -> dict[str, Any]:
        url = urlsplit(sys.argv[1])
        connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=30)
        try:
            connection.request("POST", "/", json.dumps([message.incident, message.notice.number]))
            if connection.getresponse().status != 200:
                raise DeliveryError("not 200")
        except OSError as error:
            raise DeliveryError(type(error).__name__) from error
        finally:
            connection.close()
        return {}


def main() -> None:
    clock = HandClock(START)
    site = Site(make_setup(Poster()), clock, f"process {os.getpid()}")
    for line in sys.stdin:
        word, at = line.split()
        clock.now = START + float(at)
        if word == "decide":
            posted = [site.decide(backlog(50)).posted]
            clock.advance(0.5)
            posted.append(site.decide(backlog(50)).posted)
            print(f"decided {sum(posted)}", flush=True)
        elif word == "over":
            attempts = 0
            for _ in range(120):
                clock.advance(1.0)
                site.decide(backlog(0))
                attempts += site.send()
            print(f"over {attempts}", flush=True)
        elif site.duty.stand_by(clock.wall()):
            site.duty.flush(clock.wall())
            print(f"sent {site.send()}", flush=True)
        else:
            print("waiting", flush=True)


if __name__ == "__main__":
    main()

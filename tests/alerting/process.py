"""
One process of alerting: rules, database, outbox and a webhook, all real, but for its time, which is moved by hand.

``python -m tests.alerting.process URL`` reads what is asked of it as JSON, a line each (see `live`), and answers each
with a line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
django.setup()

from django.db import OperationalError, connection

from hub.alerting.receivers.options import Address
from hub.alerting.receivers.webhook import Webhook, WebhookOptions
from hub.core.redaction import Secret
from tests.alerting.stage import BACKLOG, Samples, Site, make_setup
from tests.handclock import HandClock
from tests.support.receivers import WEBHOOK_SECRET

#: The clock of all such processes at the moment 0.
START = 1_000_000.0


def live(
    site: Site,
    at: float,
    seconds: int = 1,
    waiting: Mapping[str, float] | None = None,
    *,
    decide: bool = True,
    send: bool = True,
) -> dict[str, Any]:
    """
    Let seconds pass, one by one.

    Args:
        at: The moment of the first of them.
        waiting: How many messages wait, by tenant.
        decide: Whether rules are evaluated.
        send: Whether what waits in the outbox is sent.

    Returns:
        How often the database refused, and whether the process believes in the end that it is on duty.
    """
    refused = 0
    samples: Samples = {BACKLOG: {("chat", tenant): number for tenant, number in (waiting or {}).items()}}
    for second in range(seconds):
        site.clock.now = START + at + second
        try:
            if decide:
                site.decide(samples)
            if send and site.duty.engine is not None:
                site.send()
        except OperationalError:
            refused += 1
    return {"refused": refused, "on_duty": site.duty.engine is not None}


def main() -> None:
    url, patience = sys.argv[1], int(sys.argv[2])
    options = WebhookOptions(type="webhook", url=Address(url), secret=Secret(WEBHOOK_SECRET))
    setup = make_setup(Webhook("ops", options), groups=("tenant",))
    site = Site(setup, HandClock(START), f"process {os.getpid()}")
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {patience}")
    for line in sys.stdin:
        print(json.dumps(live(site, **json.loads(line))), flush=True)


if __name__ == "__main__":
    main()

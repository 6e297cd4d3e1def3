"""The application of the equivalence servers: every variant's own application, watched, and the control beside them."""

import asyncio
import json
import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.equivalence.settings")

import django

django.setup()

from tests.equivalence.control import Control
from tests.equivalence.variants import VARIANTS
from tests.equivalence.variants import application as application_of
from tests.equivalence.witness import Registry

CONTROL_PATH = "/control"

registry = Registry()
control = Control(registry)
#: By the first part of the path.
applications = {variant.name: registry.watched(application_of(variant)) for variant in VARIANTS}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Route a connection to its variant, or to the control."""
    if scope["type"] != "websocket":
        raise NotImplementedError(scope["type"])  # these hosts have no lifespan, as most have none
    if scope["path"] == CONTROL_PATH:
        await answer_requests(receive, send)
    else:
        # Handed on as they are: the hub may want to look at the server's own callables.
        await applications[scope["path"].split("/")[1]](scope, receive, send)


async def answer_requests(receive: Any, send: Any) -> None:
    """Serve the scripts: each request is ``[reference, verb, identity, argument]``, answered when its time comes."""
    async with asyncio.TaskGroup() as requests:
        while (message := await receive())["type"] != "websocket.disconnect":
            if message["type"] == "websocket.connect":
                await send({"type": "websocket.accept"})
            else:
                requests.create_task(answer(json.loads(message["text"]), send))


async def answer(request: list[Any], send: Any) -> None:
    """Answer one request with ``[reference, error or null, answer]``."""
    reference, *question = request
    try:
        said = [reference, None, await control(*question)]
    except Exception as error:  # noqa: BLE001 - the script fails and says why
        said = [reference, f"{type(error).__name__}: {error}", None]
    await send({"type": "websocket.send", "text": json.dumps(said, default=repr)})

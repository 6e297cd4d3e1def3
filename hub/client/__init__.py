"""
The client library for Python programs: a WebSocket that gives signs of life and comes back.

```python
from hub.client import connect

async with connect("wss://example.com/ws/chat/") as socket:
    await socket.send("hello")
    async for message in socket:
        ...
```

It is used as ``websockets.asyncio.client`` is, whose library does the protocol (``pip install
'channels-hub[client]'``), and needs no Django. Towards a server without the hub it is a plain WebSocket. It is for
asyncio only; a program with threads runs its loop in one of them, and hands messages over with
``asyncio.run_coroutine_threadsafe(socket.send(...), loop)``.
"""

try:
    import websockets as _websockets  # noqa: F401 - only looked for
except ImportError as error:
    raise ImportError("hub.client needs the library websockets: pip install 'channels-hub[client]'") from error

from hub.client.connection import HubSocket
from hub.client.errors import UnsentLimitError
from hub.client.opening import connect
from hub.client.reconnect import FINAL_CODES, ResumeContext, full_jitter

__all__ = ["FINAL_CODES", "HubSocket", "ResumeContext", "UnsentLimitError", "connect", "full_jitter"]

"""
A WebSocket client for load: the least code per frame, and every rudeness that a real client is capable of.

A wire is *opening* until the server has answered the handshake, then *open* or *refused*, and *lost* for good once
the TCP connection is gone.
"""

import asyncio
import os
import socket
import struct
from base64 import b64encode
from collections import Counter

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
KEY = b64encode(os.urandom(16)).decode()


def frame(opcode: int, payload: bytes) -> bytes:
    """One masked frame. Its key is zero, so that masking costs nothing: RFC 6455 asks for a key, servers for a mask."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, 0x80 | size, 0, 0, 0, 0)) + payload
    return bytes((0x80 | opcode, 0x80 | 126)) + struct.pack("!H", size) + bytes(4) + payload


class Wire(asyncio.Protocol):
    """One connection: counts what comes, by kind, and wakes whoever waits for it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.status = 0
        self.close_code: int | None = None
        self.frames: Counter[str] = Counter()
        self.sizes: Counter[str] = Counter()
        self.answered: asyncio.Future[int] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self._wanted = 0
        self._enough: asyncio.Future[None] | None = None
        self._buffer = b""
        self._received = 0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def handshake(self, host: str, target: str) -> None:
        self.transport.write(
            f"GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self.status == 0:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            self._buffer = rest
            self.status = int(head.split(b" ", 2)[1])
            self._answer(self.status)
        if self.status == 101:
            self._read_frames()
            if self._enough is not None and self._received >= self._wanted:
                self._wake()

    def _read_frames(self) -> None:
        buffer, at, end = self._buffer, 0, len(self._buffer)
        while end - at >= 2:
            opcode, size, start = buffer[at] & 15, buffer[at + 1], at + 2
            if size == 126:
                if end - at < 4:
                    break
                size, start = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            if end < start + size:
                break
            self._frame(opcode, buffer[start : start + size])
            at = start + size
        self._buffer = buffer[at:]

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            # Of a JSON text, what stands in {"type": "..."}; a consumer of JSON sends nothing else.
            kind = payload.split(b'"', 4)[3].decode() if payload[:9] == b'{"type": ' else "text"
        elif opcode == BINARY:
            kind = "binary"
        else:
            if opcode == CLOSE:
                self.close_code = int.from_bytes(payload[:2], "big") if payload else 1005
                self._wake()
            elif opcode == PING:
                self.transport.write(frame(PONG, payload))
            return
        self._received += 1
        self.frames[kind] += 1
        self.sizes[kind] += len(payload)

    def connection_lost(self, exc: Exception | None) -> None:
        self._answer(0)
        self.lost.set_result(None)
        self._wake()

    def _answer(self, status: int) -> None:
        if not self.answered.done():
            self.answered.set_result(status)

    def _wake(self) -> None:
        if self._enough is not None and not self._enough.done():
            self._enough.set_result(None)

    async def received(self, count: int) -> int:
        """Wait until a number of messages has come, or nothing more will; returns how many have."""
        if self._received < count and self.close_code is None and not self.lost.done():
            self._wanted, self._enough = count, asyncio.get_running_loop().create_future()
            await self._enough
            self._enough = None
        return self._received

    async def ended(self) -> None:
        """Wait until the server has closed, with a close frame or without one."""
        await self.received(1 << 60)

    async def close(self, code: int) -> None:
        """Close as a browser does, and wait for the answer."""
        self.transport.write(frame(CLOSE, struct.pack("!H", code)))
        await self.ended()

    def reset(self) -> None:
        """Vanish: the server gets an RST and nothing else. It may have given up before."""
        if self.lost.done():
            return
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

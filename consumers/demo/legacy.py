"""Sync consumers from before the project went async: they ask the database on every message."""

# The methods below are Channels' own, with its signatures and its contracts.
# ruff: noqa: ANN401, ARG002, D102

from __future__ import annotations

from typing import Any

from channels.generic.websocket import JsonWebsocketConsumer, WebsocketConsumer
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.utils import timezone

from consumers.demo.tenants import route_tenant
from hub import MonitoredConsumerMixin


class Directory(MonitoredConsumerMixin, WebsocketConsumer):
    """A line protocol: ``COUNT``, ``TIME``, ``QUIT``; one line back."""

    def get_hub_tenant(self) -> str | None:
        """The tenant is in the address."""
        return route_tenant(self.scope)

    def connect(self) -> None:
        if route_tenant(self.scope):
            self.accept()
        else:
            self.close()

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        match (text_data or "").strip().upper():
            case "COUNT":
                self.send(text_data=f"{get_user_model().objects.count()} people")
            case "TIME":
                self.send(text_data=timezone.now().isoformat(timespec="seconds"))
            case "QUIT":
                self.close()
            case _:
                self.send(text_data="?")


class Reports(MonitoredConsumerMixin, JsonWebsocketConsumer):
    """Answers ``people`` and ``sessions`` with a number from the database."""

    hub_message_types = ("people", "sessions", "report", "error")

    def get_hub_tenant(self) -> str | None:
        """The tenant is in the address."""
        return route_tenant(self.scope)

    def connect(self) -> None:
        if route_tenant(self.scope):
            self.accept()
        else:
            self.close()

    def receive_json(self, content: Any, **kwargs: Any) -> None:
        match content:
            case {"type": "people"}:
                active = get_user_model().objects.filter(is_active=True).count()
                self.send_json({"type": "report", "of": "people", "count": active})
            case {"type": "sessions"}:
                live = Session.objects.filter(expire_date__gt=timezone.now()).count()
                self.send_json({"type": "report", "of": "sessions", "count": live})
            case _:
                self.send_json({"type": "error", "reason": "Only people and sessions are reported."})

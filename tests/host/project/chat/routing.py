# mypy: ignore-errors
from django.urls import path

from chat.consumers import ChatConsumer, ClockConsumer

websocket_urlpatterns = [
    path("ws/chat/<slug:room>/", ChatConsumer.as_asgi()),
    path("ws/clock/", ClockConsumer.as_asgi()),
]

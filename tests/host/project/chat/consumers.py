# mypy: ignore-errors
from channels.generic.websocket import AsyncJsonWebsocketConsumer, WebsocketConsumer
from django.utils import timezone


class ChatConsumer(AsyncJsonWebsocketConsumer):
    async def connect(self):
        self.room = f"chat.{self.scope['url_route']['kwargs']['room']}"
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.room, self.channel_name)

    async def receive_json(self, content):
        if content["type"] == "quit":
            await self.close(4000)
        else:
            await self.channel_layer.group_send(self.room, {"type": "chat.said", "text": content["text"]})

    async def chat_said(self, event):
        await self.send_json({"type": "said", "text": event["text"]})


class ClockConsumer(WebsocketConsumer):
    def receive(self, text_data=None, bytes_data=None):
        self.send(text_data=timezone.now().isoformat())

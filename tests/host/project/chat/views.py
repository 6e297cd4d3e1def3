# mypy: ignore-errors
from django.shortcuts import render


def room(request, room):
    return render(request, "chat/room.html", {"room": room})

# mypy: ignore-errors
from django.http import HttpResponse
from django.urls import path

from chat.views import room

urlpatterns = [
    path("", lambda request: HttpResponse("The chat")),
    path("chat/<slug:room>/", room),
]

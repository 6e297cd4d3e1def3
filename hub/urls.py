"""The stand-alone site: the hub's pages at the root."""

from django.urls import include, path

urlpatterns = [path("", include("hub.web.urls"))]

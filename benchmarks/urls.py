"""The URLs of the monitored project: the hub's own, as the integration guide says."""

from django.urls import include, path

urlpatterns = [path("hub/", include("hub.web.urls"))]

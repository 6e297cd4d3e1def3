"""The hub's pages, to be included at any prefix: ``path("hub/", include("hub.web.urls"))``."""

from django.urls import path

from hub.conf import config
from hub.web.metrics import metrics
from hub.web.views import HubLoginView, HubLogoutView, asset, client, incidents, page

app_name = "hub"

_metrics_path = config().metrics_path.strip("/") or "metrics"

urlpatterns = [
    path("", page, name="page"),
    path("incidents/", incidents, name="incidents"),
    path("login/", HubLoginView.as_view(), name="login"),
    path("logout/", HubLogoutView.as_view(), name="logout"),
    path("assets/<path:name>", asset, name="asset"),
    path("client/<str:name>", client, name="client"),
    path(_metrics_path, metrics, name="metrics"),
    path(f"{_metrics_path}/", metrics),
]

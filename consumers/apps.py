"""The site's Django app: it holds the demo commands; the hub itself is the app ``hub``."""

from __future__ import annotations

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """``label`` keeps the short name ``consumers`` free for the apps of host projects."""

    name = "consumers"
    label = "hub_site"
    verbose_name = "Channels Hub site"

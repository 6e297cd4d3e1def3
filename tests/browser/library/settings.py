"""A host's settings, the least that there can be; heartbeats come more often than people would have them."""

import os

SECRET_KEY = "library"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
ROOT_URLCONF = "tests.browser.library.urls"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "channels",
    "hub",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
HUB = {"HEARTBEAT_INTERVAL": float(os.environ.get("LIBRARY_INTERVAL", "0.5")), "PRESENCE_TIMEOUT": 300.0}

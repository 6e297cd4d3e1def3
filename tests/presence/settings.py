"""A host's settings: the hub with its pages under ``hub/``, its roster in a view, tenants by the path."""

import os

SECRET_KEY = "presence"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
ROOT_URLCONF = "tests.presence.urls"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "channels",
    "hub",
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("SITE_DB", ":memory:")}}
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
# A receiver here raises on purpose, with every join.
LOGGING = {"version": 1, "disable_existing_loggers": False, "loggers": {"django.dispatch": {"level": "CRITICAL"}}}

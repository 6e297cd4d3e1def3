"""What the hub keeps in the host's database: whom it lets in, people and programs, and to which tenants."""

from django.conf import settings
from django.db import models


class TenantOperator(models.Model):
    """Binds an operator to a tenant. Whoever has at least one binding sees and touches these tenants only."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="hub_tenants")
    tenant = models.CharField(max_length=200)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["user", "tenant"], name="hub_tenant_operator_once"),)
        permissions = (
            ("view_ops", "Can watch the operator feed and page"),
            ("operate", "Can acknowledge, silence and disconnect"),
        )

    def __str__(self) -> str:
        return f"{self.user} → {self.tenant}"


class AccessToken(models.Model):
    """
    Lets a program read the feed, until it expires or is deleted. Made with ``manage.py hub_token``.

    Attributes:
        digest: SHA-256 of the token, in hexadecimal; the token itself is kept nowhere.
        tenants: Names of the only tenants that it may see; None: all.
        last_used_at: To the minute, so that a busy token does not write all the time.
    """

    name = models.CharField(max_length=100, unique=True)
    digest = models.CharField(max_length=64, unique=True)
    view = models.BooleanField(default=True)
    operate = models.BooleanField(default=False)
    tenants = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name

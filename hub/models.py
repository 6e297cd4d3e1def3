"""What the hub keeps in the host's database: whom it lets in, and to which tenants."""

from django.conf import settings
from django.db import models


class TenantOperator(models.Model):
    """Binds an operator to a tenant. Whoever has at least one binding sees and touches these tenants only."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="hub_tenants")
    tenant = models.CharField(max_length=200)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "tenant"], name="hub_tenant_operator_once")]
        permissions = [
            ("view_ops", "Can watch the operator feed and page"),
            ("operate", "Can acknowledge, silence and disconnect"),
        ]

    def __str__(self) -> str:
        return f"{self.user} → {self.tenant}"

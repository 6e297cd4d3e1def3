"""A host's rules for presence: the tenant is a field of the user's, groups are named after it."""


def tenant_of(scope):
    return getattr(scope["user"], "first_name", "") or None


def may_watch(scope, group):
    if group == "broken":
        raise LookupError(group)
    return group.startswith(scope["user"].first_name + "-") or ("truthy" if group == "truthy" else False)


async def may_watch_soon(scope, group):
    return may_watch(scope, group)

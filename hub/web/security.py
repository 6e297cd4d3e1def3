"""What every response of the hub's pages carries: a strict content security policy, and its relatives."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponseBase

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

Response = TypeVar("Response", bound=HttpResponseBase)
View = Callable[..., HttpResponseBase]
AsyncView = Callable[..., Coroutine[Any, Any, HttpResponseBase]]


def secured(view: View) -> View:
    """Add the headers to a view's responses."""

    @wraps(view)
    def respond(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # noqa: ANN401 - the view's
        return with_headers(view(request, *args, **kwargs))

    return respond


def secured_async(view: AsyncView) -> AsyncView:
    """Add the headers to an asynchronous view's responses."""

    @wraps(view)
    async def respond(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # noqa: ANN401 - the view's
        return with_headers(await view(request, *args, **kwargs))

    return respond


def with_headers(response: Response) -> Response:
    """The response, with those of the headers that it has not set itself."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response

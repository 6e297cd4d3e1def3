"""The operator page with its login, the incident notes, and the built files that they load."""

from functools import wraps
from math import ceil
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse, reverse_lazy
from django.utils.cache import get_conditional_response
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hub import __version__
from hub.access import rights_of
from hub.clock import SYSTEM
from hub.conf import config
from hub.web import assets
from hub.web.security import View, secured
from hub.web.throttle import Key, Throttle

PAGE_ENTRY, LOGIN_ENTRY, NOTES_ENTRY = "src/main.tsx", "src/login.css", "src/incidents.css"
A_YEAR = 365 * 24 * 3600
#: The client library keeps its name when it changes.
FIVE_MINUTES = 300
#: Failed logins for one name from one address: ten in five minutes.
LOGINS = Throttle(attempts=10, window=300.0, keys=10_000)


def enabled_only(view: View) -> View:
    """Close a door while the hub is switched off, before anybody is asked to log in."""

    @wraps(view)
    def respond(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # noqa: ANN401 - the view's
        if not config().enabled:
            raise Http404("Channels Hub is switched off")
        return view(request, *args, **kwargs)

    return respond


def watchers_only(view: View) -> View:
    """Show a page to those who may watch; whoever may not is told what it takes."""

    @secured
    @enabled_only
    @require_safe
    @never_cache
    @login_required(login_url=reverse_lazy("hub:login"))
    @wraps(view)
    def respond(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # noqa: ANN401 - the view's
        rights = rights_of(request.user)
        if rights is None or not rights.view:
            return render(request, "hub/refused.html", _context(request), status=403)
        return view(request, *args, **kwargs)

    return respond


def _context(request: HttpRequest, **more: object) -> dict[str, object]:
    return {
        "version": __version__, "login": assets.entry(LOGIN_ENTRY), "user": request.user.get_username(), **more,
    }  # fmt: skip


@watchers_only
def page(request: HttpRequest) -> HttpResponse:
    """The operator page."""
    entry = assets.entry(PAGE_ENTRY)
    if entry is None:
        return render(request, "hub/unbuilt.html", _context(request), status=503)
    return render(request, "hub/page.html", _context(request, entry=entry, feed=config().feed_path))


@watchers_only
def incidents(request: HttpRequest) -> HttpResponse:
    """What each alert means and what to do about it: where the links of the pack's rules lead."""
    entry, notes = assets.entry(NOTES_ENTRY), assets.incidents()
    if entry is None or notes is None:
        return render(request, "hub/unbuilt.html", _context(request), status=503)
    return render(request, "hub/incidents.html", _context(request, entry=entry, notes=notes))


@secured
@enabled_only
@require_safe
def asset(_request: HttpRequest, name: str) -> HttpResponse:
    """A built file; its name contains its hash, so that it may be kept for ever."""
    found = assets.asset(name)
    if found is None:
        raise Http404("no such file")
    response = HttpResponse(found.content, content_type=found.content_type)
    response.headers["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
    return response


@secured
@require_safe
def client(request: HttpRequest, name: str) -> HttpResponse:
    """
    A file of the client library, for the pages of hosts.

    Also while the hub is switched off: without the library these pages would not run. Readable from every origin, as
    a module has to be that a page on another one imports; everybody may know what it says.
    """
    found = assets.client_file(name)
    if found is None:
        raise Http404("no such file")
    full = HttpResponse(found.content, content_type=found.content_type)
    response = get_conditional_response(request, etag=found.etag, response=full) or full
    response.headers["ETag"] = found.etag
    response.headers["Cache-Control"] = f"public, max-age={FIVE_MINUTES}"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


@method_decorator((secured, enabled_only), name="dispatch")
class HubLoginView(LoginView):
    """Log in with the host's own users."""

    template_name = "hub/login.html"
    redirect_authenticated_user = False

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:  # noqa: ANN401 - Django's
        """Try to log in, unless that was tried too often."""
        key = _login_key(request)
        wait = ceil(LOGINS.admit(key, SYSTEM.monotonic()))
        if wait:
            return self._too_many(wait)
        response = super().post(request, *args, **kwargs)
        if request.user.is_authenticated:
            LOGINS.forgive(key)
        return response

    def _too_many(self, wait: int) -> HttpResponse:
        """Whatever the password was: the answer must not tell a right one from a wrong one."""
        context = self.get_context_data(form=self.get_form_class()(), wait_minutes=ceil(wait / 60))
        return self.render_to_response(context, status=429, headers={"Retry-After": str(wait)})

    def get_default_redirect_url(self) -> str:
        """To the page."""
        return reverse("hub:page")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401 - Django's
        """What the template needs."""
        return super().get_context_data(**kwargs) | {"login": assets.entry(LOGIN_ENTRY), "version": __version__}


def _login_key(request: HttpRequest) -> Key:
    return request.POST.get("username", "")[:200].casefold(), request.META.get("REMOTE_ADDR") or ""


@method_decorator(secured, name="dispatch")
class HubLogoutView(LogoutView):
    """Log out, back to the login."""

    next_page = "hub:login"

"""HTML of the sign-in and sign-out pages: one style sheet, no script."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from loopline.platform_core.errors import LooplineError

STYLE = "/sign-in/style.css"
TEMPLATES = Path(__file__).with_name("templates")
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "same-origin",  # without any, a browser hides from us too where a form was sent from
    "x-content-type-options": "nosniff",
}


def style() -> Response:
    """Return the sheet of style."""
    headers = HEADERS | {"cache-control": "public, max-age=3600"}
    return Response((TEMPLATES / "style.css").read_bytes(), media_type="text/css", headers=headers)


def form(
    token: str, destination: str, name: str = "", error: LooplineError | None = None, status: int = 200
) -> Response:
    """Ask for name and password, and say what was wrong with those given."""
    given = {"token": token, "destination": destination, "name": name}
    return _page("sign_in.html", "Sign in", status, error, **given)


def leaving(token: str, name: str) -> Response:
    """Ask whether somebody wants to sign out."""
    return _page("leaving.html", "Sign out", token=token, name=name)


def left(elsewhere: str = "") -> Response:
    """Say that somebody is signed out, and lead on to where he signs out at the provider.

    By a page, not by a redirect: a form of ours may be sent to ourselves only, and browsers hold redirects to that.
    """
    return _page("left.html", "Signed out", elsewhere=elsewhere)


def failed(error: LooplineError, status: int) -> Response:
    """Say why a sign-in failed, and lead back to its begin."""
    return _page("failed.html", "Not signed in", status, error)


def _page(template: str, title: str, status: int = 200, error: LooplineError | None = None, **given: str) -> Response:
    said = {"problem": error.problem if error else "", "fix": error.fix if error else ""}
    return HTMLResponse(_environment().get_template(template).render(title=title, **said, **given), status, HEADERS)


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(TEMPLATES)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)

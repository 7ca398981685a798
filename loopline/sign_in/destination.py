"""Safe redirect after sign-in: only to a path of this server (no open redirect)."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

HOME = "/"
LONGEST = 2_000
OURS = ("/sign-in", "/sign-out")


def safe(wanted: str) -> str:
    """Return a path of this server with its query; ``/`` for what leads elsewhere, or nowhere.

    Browsers read a backslash as a slash, drop tabs and line breaks, and take ``//host`` for another server.
    """
    if not wanted.startswith("/") or wanted[1:2] in {"/", "\\"} or len(wanted) > LONGEST:
        return HOME
    if "\\" in wanted or not wanted.isprintable():
        return HOME
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return HOME
    if parts.scheme or parts.netloc or parts.path.startswith("//"):
        return HOME
    return HOME if any(parts.path == own or parts.path.startswith(f"{own}/") for own in OURS) else wanted


def sign_in(wanted: str) -> str:
    """Return the address of the page on which somebody signs in to go there."""
    there = safe(wanted)
    return "/sign-in" if there == HOME else f"/sign-in?next={quote(there, safe='')}"

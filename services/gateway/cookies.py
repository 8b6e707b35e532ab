"""The browser's cookies: the session and what renews it are out of scripts' reach, the CSRF word is in it."""

from __future__ import annotations

import secrets
from datetime import timedelta

from fastapi import Request, Response

from services.core.web.credentials import CSRF_COOKIE, SESSION_COOKIE
from services.gateway.refresh import Lives
from services.gateway.sign_in import SignedIn

REFRESH_COOKIE = "vigie_refresh"
REFRESH_PATH = "/auth"
SAME_BROWSER = timedelta(seconds=10)
"""Two pages of one browser may renew with one cookie within so long."""


def set_cookies(request: Request, response: Response, signed_in: SignedIn, lives: Lives) -> None:
    """``Secure`` wherever the browser came by HTTPS, as the edge tells."""
    secure = request.url.scheme == "https"
    longest = int(lives.unused.total_seconds())
    response.set_cookie(
        SESSION_COOKIE,
        signed_in.access_token,
        max_age=longest,  # the token in it ends sooner: it is renewed while the sign-in lasts
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )
    if signed_in.refresh_token is not None:
        response.set_cookie(
            REFRESH_COOKIE,
            signed_in.refresh_token,
            max_age=longest,
            path=REFRESH_PATH,
            secure=secure,
            httponly=True,
            samesite="strict",
        )
    # One word for the whole sign-in: a page that was opened before a renewal goes on working.
    csrf = request.cookies.get(CSRF_COOKIE) or secrets.token_urlsafe(32)
    response.set_cookie(CSRF_COOKIE, csrf, max_age=longest, path="/", secure=secure, samesite="strict")
    response.headers["Cache-Control"] = "no-store"


def clear_cookies(response: Response) -> None:
    for name, path in ((SESSION_COOKIE, "/"), (REFRESH_COOKIE, REFRESH_PATH), (CSRF_COOKIE, "/")):
        response.delete_cookie(name, path=path, samesite="strict")
    response.headers["Cache-Control"] = "no-store"

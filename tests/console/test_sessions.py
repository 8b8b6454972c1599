"""Signing in and out: a token becomes a session, a session ends, and no other site can use it."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import pytest

from app.console.sessions import LIFETIME
from app.gate import SESSION_COOKIE, fingerprint
from storage import access
from tests.console.city import City
from tests.console.conftest import Browser
from tests.console.html import Page

HOME = "http://city.test"


def signed_in(client: httpx.Client, token: str, **headers: str) -> httpx.Response:
    """Post the login form as a browser does."""
    return client.post("/login", data={"token": token}, headers={"origin": HOME} | headers)


def test_whoever_is_not_signed_in_is_asked_for_a_token(browser: Browser) -> None:
    """Every page is the login page, with 401; it brings its style along and asks for nothing else."""
    answer = browser("").get("/")
    page = Page(answer.text)
    assert answer.status_code == 401
    assert [(form.target, form.method, form.fields) for form in page.forms] == [("/login", "post", {"token": ""})]
    assert ("input", "type", "password") in page.attributes
    assert [one for one in page.attributes if one[1] == "src" or (one[0] == "link")] == []
    policy = next(value for tag, name, value in page.attributes if tag == "meta" and "default-src" in value and name == "content")
    assert re.search(r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]+=*'", policy)


def test_a_token_becomes_a_session(browser: Browser) -> None:
    """The cookie is for our pages alone and for one shift; with it the pages open and name the person."""
    client = browser("")
    answer = signed_in(client, "duty")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    for part in ("httponly", "samesite=strict", "path=/", f"max-age={int(LIFETIME.total_seconds())}"):
        assert part in cookie, part
    assert "duty" not in cookie.split(";")[0], "the token itself is not in the cookie"
    assert "值班员王" in client.get("/").text
    assert client.get("/login").status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", "feed", "zu-lang" * 100])
def test_other_tokens_are_refused(browser: Browser, token: str) -> None:
    """An unknown token and one that is not a person's get 401 and no cookie."""
    client = browser("")
    answer = signed_in(client, token)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "令牌无效" in answer.text
    assert client.get("/").status_code == 401


def test_the_page_that_was_asked_for_comes_after_signing_in(browser: Browser) -> None:
    """A department that follows a link in a message signs in and is there; an address elsewhere is not followed."""
    client = browser("")
    wanted = signed_in(client, "lead", referer=f"{HOME}/warnings/w1?lang=en")
    assert wanted.headers["location"] == "/warnings/w1?lang=en"
    for elsewhere in ("http://evil.test/warnings/w1", f"{HOME}/login", f"{HOME}//evil.test/", "nonsense"):
        assert signed_in(browser(""), "lead", referer=elsewhere).headers["location"] == "/", elsewhere


def test_another_site_cannot_sign_somebody_in(browser: Browser) -> None:
    """A login form posted from elsewhere is refused."""
    assert browser("").post("/login", data={"token": "duty"}, headers={"origin": "http://evil.test"}).status_code == 403


def test_another_site_cannot_use_a_session(browser: Browser, city: City) -> None:
    """A post with the cookie but another origin, or none, is refused before it reaches a page."""
    client = browser("")
    signed_in(client, "duty")
    found = city.warn()
    for origin in ({"origin": "http://evil.test"}, {"origin": "null"}, {}):
        answer = client.post(f"/warnings/{found}", data={"action": "withdraw", "f.reason": "x"}, headers=origin)
        assert answer.status_code == 403, origin
    with city.database.read() as connection:
        assert connection.exec_driver_sql("select status from cases").scalars().all() == ["open"]


def test_signing_out_ends_the_session(browser: Browser) -> None:
    """The cookie is taken back and worth nothing any more."""
    client = browser("")
    signed_in(client, "duty")
    kept = client.cookies[SESSION_COOKIE]
    assert ("/logout", "post") in [(form.target, form.method) for form in Page(client.get("/").text).forms]
    assert client.post("/logout", headers={"origin": HOME}).status_code == 303
    assert client.get("/").status_code == 401
    thief = browser("")
    thief.cookies.set(SESSION_COOKIE, kept)
    assert thief.get("/").status_code == 401


def test_a_session_ends_by_itself(browser: Browser, city: City) -> None:
    """After its lifetime the login page is back."""
    client = browser("")
    signed_in(client, "auditor")
    city.clock.advance(LIFETIME - timedelta(seconds=1))
    assert client.get("/").status_code == 200
    city.clock.advance(timedelta(seconds=1))
    assert client.get("/").status_code == 401


def test_a_session_ends_with_its_credential(browser: Browser, city: City) -> None:
    """Revoking a token ends what was begun with it."""
    client = browser("")
    signed_in(client, "lead")
    with city.database.write() as connection:
        assert access.revoke_credential(connection, fingerprint("lead"), city.clock.now())
    assert client.get("/").status_code == 401

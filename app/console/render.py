"""Rendering: one Jinja environment with escaping always on, one way to answer with a page."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request, Response
from litestar.datastructures import Cookie

from app.api.roles import OVERSEERS
from app.console.words import CHINESE, ENGLISH, LEVEL_MARKS, Words, machine, milliseconds
from domain.ports import Clock
from domain.principals import Principal

HERE = Path(__file__).parent
STATIC = HERE / "static"
LANGUAGE_COOKIE = "fengsui_lang"
YEAR = 365 * 24 * 3600  # seconds that a browser keeps the choice of a language
LONGEST_BAR = 100.0  # a score bar is drawn on the scale of scores

# Everything comes from here, nothing runs in a page's text. `same-origin` and not `no-referrer`: with the latter a browser names
# no origin when it posts a form, and the gate refuses a post without one.
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
}

environment = Environment(
    loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def asset(name: str) -> str:
    """Return the address of a static file; it changes with the content, so that browsers may keep it."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def segments(contributions: Any, score: float) -> list[dict[str, Any]]:
    """Return the parts of a score bar: x and width on a scale of 100; caps and fusion may make the score less than the sum."""
    total = sum(part.points for part in contributions)
    scale = min(score, LONGEST_BAR) / total if total else 0.0
    found, x = list[dict[str, Any]](), 0.0
    for place, part in enumerate(contributions):
        width = part.points * scale
        found.append({"x": round(x, 2), "width": round(width, 2), "part": part, "colour": place % 6})
        x += width
    return found


environment.globals |= {
    "asset": asset,
    "machine": machine,
    "milliseconds": milliseconds,
    "segments": segments,
    "level_marks": LEVEL_MARKS,
    "overseers": OVERSEERS,
}


def language_of(request: Request[Any, Any, Any]) -> str:
    """Return the reader's language: asked for in the address, else kept in the cookie, else Chinese."""
    asked = request.query_params.get("lang", "") or request.cookies.get(LANGUAGE_COOKIE, "")
    return ENGLISH if asked.lower().startswith("en") else CHINESE


def _other_language(request: Request[Any, Any, Any], language: str) -> str:
    kept = [(name, value) for name, value in parse_qsl(request.url.query) if name != "lang"]
    path = request.url.path if request.method == "GET" else "/"
    return f"{path}?{urlencode([*kept, ('lang', 'zh' if language == ENGLISH else 'en')])}"


def page(
    request: Request[Any, Any, Any], template: str, clock: Clock, principal: Principal | None, *, status: int = 200, **context: Any
) -> Response[bytes]:
    """Return a page of the console in the reader's language."""
    language = language_of(request)
    words = Words(language)
    body = environment.get_template(template).render(
        words=words,
        t=words.t,
        title=words.title,
        language=language,
        principal=principal,
        now=clock.now(),
        path=request.url.path,
        other_language=_other_language(request, language),
        **context,
    )
    cookies = []
    if "lang" in request.query_params:
        cookies.append(Cookie(key=LANGUAGE_COOKIE, value=language, path="/", max_age=YEAR, httponly=True, samesite="lax"))
    return Response(body.encode(), status_code=status, media_type="text/html", headers=HEADERS, cookies=cookies)


def style_hash(style: str) -> str:
    """Return the source expression with which a policy allows this one inline style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"

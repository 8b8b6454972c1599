"""The console's static files: one style, one script, one icon."""

from __future__ import annotations

from litestar import Response, get
from litestar.params import FromPath

from app.api.roles import READERS
from app.console.render import STATIC
from domain.errors import NotFound
from domain.messages import both

TYPES = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


@get("/static/{name:str}", opt={"roles": READERS}, sync_to_thread=True)
def static_file(name: FromPath[str]) -> Response[bytes]:
    """Return a file of the list; its address changes with its content, so a browser may keep it for good."""
    if name not in TYPES:
        raise NotFound(both("api.no_file", name=name, legal=", ".join(TYPES)))
    headers = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response((STATIC / name).read_bytes(), media_type=TYPES[name], headers=headers)

"""The page at / and its files. They hold no data and need no key."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Response

from r2ag.server.errors import ApiError

router = APIRouter(include_in_schema=False)
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_INDEX = "index.html"
# Scripts, styles and requests are allowed to this server only; no text becomes markup (Trusted Types).
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@router.get("/")
async def page() -> Response:
    """The page itself."""
    return _responses()[_INDEX]


@router.get("/page/{name}")
async def part(name: str) -> Response:
    """One of the page's files."""
    if name not in _responses():
        raise ApiError(404, "The page has no such file.")
    return _responses()[name]


@cache
def _responses() -> dict[str, Response]:
    """All files by name; they are read once."""
    contents = {file.name: file.read_bytes() for file in (files("r2ag.server") / "page").iterdir() if file.is_file()}
    types = {name: f"{_TYPES[name[name.rindex('.') :]]}; charset=utf-8" for name in contents}
    return {name: Response(contents[name], media_type=types[name], headers=_HEADERS) for name in contents}

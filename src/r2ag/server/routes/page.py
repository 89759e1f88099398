"""The page at /, and the files that it is made of."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Response

from r2ag.server.errors import ApiError

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_INDEX = "index.html"
# Scripts, styles and requests from here and nothing from elsewhere; no text ever becomes markup (Trusted Types).
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def page_routes() -> APIRouter:
    """The addresses; they hold nothing that is anybody's, and need no key."""
    router = APIRouter(include_in_schema=False)
    responses = {name: _response(name, content) for name, content in _contents().items()}

    @router.get("/")
    async def page() -> Response:
        return responses[_INDEX]

    @router.get("/page/{name}")
    async def part(name: str) -> Response:
        if name not in responses:
            raise ApiError(404, "The page has no such file.")
        return responses[name]

    return router


def _contents() -> dict[str, bytes]:
    folder = files("r2ag.server") / "page"
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def _response(name: str, content: bytes) -> Response:
    suffix = name[name.rindex(".") :]
    return Response(content, media_type=f"{_TYPES[suffix]}; charset=utf-8", headers=_HEADERS)

"""Errors as the outside sees them: RFC 9457 `application/problem+json`."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NotRequired

import orjson
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from typing_extensions import TypedDict

from hub.errors import StoreUnavailable

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"


class FieldError(TypedDict):
    field: str
    message: str


class ProblemJson(TypedDict):
    """RFC 9457; `code` is for programs, `detail` for people."""

    type: str
    title: str
    status: int
    code: str
    detail: NotRequired[str]
    errors: NotRequired[list[FieldError]]


class Problem(Exception):
    """The answer to a request that cannot be served. `code` is stable, `detail` a sentence."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})

    def json(self) -> ProblemJson:
        body: ProblemJson = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
        }
        if self.detail:
            body["detail"] = self.detail
        if self.errors:
            body["errors"] = self.errors
        return body

    def response(self) -> web.Response:
        return web.Response(
            body=orjson.dumps(self.json()),
            status=self.status,
            content_type=CONTENT_TYPE,
            headers={"Cache-Control": "no-store", **self.headers},
        )


def unknown(what: str) -> Problem:
    return Problem(404, "not_found", f"There is no such {what}.")


def wrong(field: str, message: str, code: str = "invalid") -> Problem:
    """422 for one field of the request."""
    return Problem(422, code, message, errors=[{"field": field, "message": message}])


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every error of the calls the one form, and show no error's text."""
    if not request.path.startswith(("/api/", "/chat/", "/demo/")):
        return await handler(request)
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except web.HTTPException as error:
        if error.status < 400:
            raise
        kept = {n: error.headers[n] for n in ("Allow",) if n in error.headers}
        code = HTTPStatus(error.status).phrase.lower().replace(" ", "_")
        return Problem(error.status, code, headers=kept).response()
    except ConnectionError:
        raise  # the client is gone: nobody to answer and nothing to mend
    except StoreUnavailable:
        return Problem(
            503, "store_unavailable", "The database is away.", headers={"Retry-After": "2"}
        ).response()
    except Exception:
        log.exception("request failed", method=request.method, route=_route(request))
        return Problem(500, "internal", "The hub failed to answer; its log says why.").response()


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else "none"

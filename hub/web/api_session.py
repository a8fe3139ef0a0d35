"""Logging a browser in and out over REST, and asking who one is."""

from typing import Annotated

import orjson
from aiohttp import web
from pydantic import StringConstraints
from typing_extensions import TypedDict

from hub.clock import id_text
from hub.store.tokens import Role
from hub.web.auth import check_same_site, end_session, find_secret, set_session
from hub.web.problem import Problem
from hub.web.route import Api, Body, Call
from hub.web.shapes import IdText

session = Api()


class NewSession(Body):
    token: Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Me(TypedDict):
    id: IdText
    name: str
    role: Role


@session.route("POST", "/session", tag="session", role=None, status=201, errors=(401, 403))
async def start_session(call: Call, body: NewSession) -> web.Response:
    """Keep a token in this browser's session cookie; answers as GET does."""
    check_same_site(call.request)
    token = await find_secret(call.state, body.token)
    if token is None:
        raise Problem(401, "unauthorized", "This token is not valid.")
    me: Me = {"id": id_text(token.id), "name": token.name, "role": token.role}
    response = web.Response(
        body=orjson.dumps(me),
        status=201,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
    set_session(call.request, response, body.token)
    return response


@session.route("GET", "/session", tag="session")
async def get_session(call: Call) -> Me:
    """Who the caller is."""
    return {"id": id_text(call.caller.id), "name": call.caller.name, "role": call.caller.role}


@session.route("DELETE", "/session", tag="session")
async def stop_session(call: Call) -> web.Response:
    """Forget the session cookie; the token stays valid."""
    response = web.Response(status=204)
    end_session(response)
    return response

"""`Idempotency-Key`: a POST repeated under its key is answered as the first time, and done once."""

import hashlib
from collections.abc import Awaitable, Callable

from aiohttp import web

from hub.clock import id_text
from hub.store.idempotency import Kept, claim_key, free_key, keep_answer
from hub.web.problem import Problem
from hub.web.state import State

HEADER = "Idempotency-Key"


async def answer_once(
    request: web.Request,
    state: State,
    caller_id: bytes,
    body: bytes,
    run: Callable[[], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    """Run the request, or give the kept answer. Only successes are kept: what was refused did
    nothing and may be tried again. Raises Problem 400, 409 or 422."""
    key = request.headers.get(HEADER)
    if key is None:
        return await run()
    if not 0 < len(key) <= 255 or not (key.isascii() and key.isprintable()):
        raise Problem(400, "invalid_idempotency_key", "A key has 1 to 255 ASCII characters.")
    scope = f"{id_text(caller_id)} {request.method} {request.path}"
    fingerprint = hashlib.sha256(body).hexdigest()
    kept = await state.store.write(claim_key, scope, key, fingerprint, state.clock.now())
    if kept:
        return _replay(kept)
    done = False
    try:
        response = await run()
        if isinstance(response, web.Response) and response.status < 300:
            # From here on the key is not free, also where the answer cannot be kept.
            done = True
            answer = response.body if isinstance(response.body, bytes) else b""
            await state.store.write(keep_answer, scope, key, response.status, answer)
        return response
    finally:
        if not done:
            await state.store.write(free_key, scope, key)


def _replay(kept: Kept) -> web.Response:
    if kept.state == "changed":
        raise Problem(422, "idempotency_key_reused", "This key was used for another request.")
    if kept.state == "running":
        raise Problem(
            409,
            "idempotency_running",
            "The first request still runs.",
            headers={"Retry-After": "1"},
        )
    return web.Response(
        body=kept.answer or None,
        status=kept.status,
        content_type="application/json" if kept.answer else None,
        headers={"Cache-Control": "no-store", "Idempotent-Replayed": "true"},
    )

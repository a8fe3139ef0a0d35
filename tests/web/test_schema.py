"""The running API against its own OpenAPI document: schemathesis makes up the requests."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
)

from hub import __version__
from hub.web import API, APIS
from hub.web.openapi import describe
from tests.web.site import running_site

DOCUMENT = describe([op for api in APIS for op in api.operations], API, __version__)
# A stream that answers until the client goes cannot be called and compared.
DOCUMENT["paths"].pop(API + "/live")
# Any body that is not a valid token is 401, whatever its shape allows.
DOCUMENT["paths"].pop(API + "/session")
# The token is ours to send, not to make up.
for _path in DOCUMENT["paths"].values():
    for _operation in _path.values():
        del _operation["security"]
schema = schemathesis.openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, dict[str, str]]]:
    """A hub in a thread of its own, for the synchronous runner: URL, token and known ids."""
    folder: Path = tmp_path_factory.mktemp("schema")
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        async with running_site(folder) as site:
            session = await site.visit()
            await site.said(session, "hi")
            thread = await site.thread_of(session)
            _, shown = await site.call("GET", f"/conversations/{thread}")
            ids = {"conversation_id": thread, "customer_id": shown["customer"]["id"]}
            found.update(url=site.url, token=site.token, ids=ids)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(20)
    yield found["url"], found["token"], found["ids"]
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)
    loop.close()


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)
def test_every_answer_is_as_documented(case: Any, hub: tuple[str, str, dict[str, str]]) -> None:
    url, token, ids = hub
    # A made-up cursor or time zone fits its schema and is still refused.
    excluded = [positive_data_acceptance]
    # Half of the made-up ids are exchanged for those of something that is there.
    for name, value in ids.items():
        if name in (case.path_parameters or {}) and len(str(case.query) + str(case.body)) % 2:
            case.path_parameters[name] = value
            excluded.append(negative_data_rejection)
    headers = {"Authorization": f"Bearer {token}"}
    case.call_and_validate(base_url=url, headers=headers, excluded_checks=excluded)

"""The calls that Messenger's and Instagram's connectors make in one way."""

import hmac
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlsplit

from connectors import graph
from connectors._meta_errors import CODES
from hub.connector import Http
from hub.errors import MediaFailed, Misconfigured, OutcomeUnknown, Refused, SendFailed
from hub.message import Media, Profile, Sent, clean_text

DEAD_TOKEN = frozenset({"0", "102", "190"})


@dataclass(frozen=True, slots=True)
class Api:
    """One account's part of the API, below `root`/`node`. `proof` is the app secret where the
    app demands that its calls are proven."""

    http: Http
    root: str
    node: str
    token: str
    proof: str = ""

    async def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Call the account's own part; `path` begins with a slash or a question mark. Raises a
        SendFailed."""
        url = f"{self.root}/{self.node}{path}"
        if self.proof:
            proof = hmac.digest(self.proof.encode(), self.token.encode(), "sha256").hex()
            url += f"{'&' if '?' in path else '?'}appsecret_proof={proof}"
        return await graph.call(self.http, method, url, self.token, CODES, body)

    async def send(self, body: dict[str, Any]) -> Sent:
        answer = await self.call("POST", "/messages", body)
        if key := graph.text_of(answer, "message_id"):
            return Sent(key)
        raise OutcomeUnknown("the answer names no message")

    async def profile(self, sender: str, fields: str) -> Profile:
        """What a customer lets be known; the name may come in two parts."""
        one = replace(self, node=quote(sender, safe=""))
        try:
            facts = await one.call("GET", f"?fields={fields}")
        except Misconfigured as error:
            if error.code in DEAD_TOKEN:
                raise
            # It is she who does not let herself be known.
            raise Refused("her profile may not be read", code=error.code) from None
        parts = (graph.text_of(facts, f"{which}_name") for which in ("first", "last"))
        name = graph.text_of(facts, "name") or " ".join(filter(None, parts))
        return Profile(name=clean_text(name), username=graph.text_of(facts, "username"))

    async def subscribed(self, *, any_field: bool = False) -> str:
        """Words for `check` when the account's messages, or with `any_field` all of its hooks,
        are not subscribed to; nothing when they are, or the token may not know."""
        try:
            answer = await self.call("GET", "/subscribed_apps")
        except SendFailed:
            return ""
        fields = {
            field
            for app in graph.objects_of(answer, "data")
            if isinstance(given := app.get("subscribed_fields"), list)
            for field in given
            if isinstance(field, str)
        }
        is_set = bool(fields) if any_field else "messages" in fields
        return "" if is_set else ", but its messages are not subscribed to"


def media_request(media: Media, api_base: str) -> tuple[str, dict[str, str]]:
    """Where an attachment lies: a signed address on a host of files, which is never shown the
    token. Raises MediaFailed."""
    allowed = {"https", urlsplit(api_base).scheme}
    if urlsplit(media.source_url).scheme not in allowed:
        raise MediaFailed("the attachment has no address that may be fetched")
    return media.source_url, {}

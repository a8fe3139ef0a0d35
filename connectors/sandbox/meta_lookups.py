"""What Meta's Graph API tells of accounts, tokens, subscriptions and people."""

import hmac
from typing import TYPE_CHECKING, Any

from aiohttp import web

from connectors.sandbox import control, meta_rules, meta_tokens
from connectors.sandbox.calls import Call
from connectors.sandbox.media import Media, make_content
from connectors.sandbox.meta_account import Account
from connectors.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from connectors.sandbox.meta_standin import MetaStandin

Json = dict[str, Any]


class LookUps:
    """The calls that read, and those that subscribe."""

    def __init__(self, standin: "MetaStandin[Any]") -> None:
        self._standin = standin

    def add_routes(self, router: web.UrlDispatcher, version: str) -> None:
        provider = self._standin.provider
        for prefix in ("", version):
            router.add_get(prefix + "/debug_token", provider(self._debug_token))
            router.add_get(prefix + "/refresh_access_token", provider(self._refresh))
        subscribed = version + "/{id}/subscribed_apps"
        router.add_get(subscribed, provider(self._subscribed))
        router.add_post(subscribed, provider(self._subscribe))
        router.add_delete(subscribed, provider(self._unsubscribe))
        router.add_get(version + "/{id}", provider(self._object))

    async def _account(self, request: web.Request, call: Call, named: bool) -> Account:
        tokens = self._standin.tokens
        account = tokens.named_account(request) if named else tokens.account(request)
        call.account = account.key
        await self._standin.meet_read_fault(request, call, account, "look_up")
        return account

    async def _object(self, request: web.Request, call: Call) -> web.Response:
        account = await self._account(request, call, named=False)
        id = request.match_info["id"]
        facts = self._standin.facts(account, id)
        if facts is None:
            facts = self._profile(account, id)
        fields = request.query.get("fields")
        asked = fields.split(",") if fields else ["name"] if "name" in facts else []
        for name in asked:
            if name not in facts:
                raise meta_rules.invalid(f"Tried accessing nonexisting field ({name})")
        told = {name: facts[name] for name in asked if facts[name] is not None}
        return control.json_response({**told, "id": facts["id"]})

    def _profile(self, account: Account, id: str) -> Json:
        """What a person lets the account know. Raises `Refusal`."""
        if (account.key, id) not in self._standin.last_deeds or not account.profiles:
            raise meta_tokens.missing(id)
        known = self._standin.phone(id)
        if known.fails_with is not None:
            raise self._standin.no_profile()
        key = f"picture-{id}"
        picture = self._standin.media.get(key)
        if picture is None:
            content, never = make_content("image/png"), float("inf")
            picture = Media(key, account.key, "image", "image/png", content, never)
            self._standin.media[key] = picture
        url = self._standin.cdn_url(picture)
        return {"id": id, **self._standin.profile(known), "profile_pic": url}

    async def _debug_token(self, request: web.Request, call: Call) -> web.Response:
        asked, token = request.query.get("input_token", ""), meta_tokens.given(request)
        try:
            account, until = self._standin.tokens.owner(asked)
        except Refusal as refusal:
            error = {"code": 190, "message": refusal.details}
            return control.json_response({"data": {"is_valid": False, "error": error}})
        call.account = account.key
        await self._standin.meet_read_fault(request, call, account, "look_up")
        right = (f"{account.app_id}|{account.app_secret}", asked)
        if not any(hmac.compare_digest(token.encode(), one.encode()) for one in right):
            raise Refusal(100, "You must provide an app access token for this app")
        is_valid = until is None or until > self._standin.now()
        data = {
            "app_id": account.app_id,
            "type": account.token_type,
            "application": "Sandbox app",
            "expires_at": int(until or 0),
            "is_valid": is_valid,
            "profile_id": account.path_id,
            "scopes": list(self._standin.scopes(account)),
        }
        if not is_valid:
            data["error"] = {"code": 190, "subcode": 463, "message": "Session has expired"}
        return control.json_response({"data": data})

    async def _refresh(self, request: web.Request, call: Call) -> web.Response:
        account = await self._account(request, call, named=False)
        if account.token_type != "USER" or request.query.get("grant_type") != "ig_refresh_token":
            raise meta_rules.invalid("grant_type must be ig_refresh_token, with such a token")
        token, life = self._standin.tokens.refresh(account)
        return control.json_response(
            {"access_token": token, "token_type": "bearer", "expires_in": int(life)}
        )

    async def _subscribed(self, request: web.Request, call: Call) -> web.Response:
        account = await self._account(request, call, named=True)
        app = {
            "link": "https://example.test/",
            "name": "Sandbox app",
            "id": account.app_id,
            "subscribed_fields": list(account.subscribed_fields),
        }
        return control.json_response({"data": [app] if account.subscribed_fields else []})

    async def _subscribe(self, request: web.Request, call: Call) -> web.Response:
        account = await self._account(request, call, named=True)
        form = await request.post()
        asked = request.query.get("subscribed_fields") or form.get("subscribed_fields")
        fields = tuple(asked.split(",")) if isinstance(asked, str) else ()
        known = type(account).model_fields["subscribed_fields"].default
        if not fields or not set(fields) <= set(known):
            raise meta_rules.invalid("Param subscribed_fields must be known fields")
        changed = {"subscribed_fields": fields}
        self._standin.add_account(account.model_copy(update=changed))
        return control.json_response({"success": True})

    async def _unsubscribe(self, request: web.Request, call: Call) -> web.Response:
        account = await self._account(request, call, named=True)
        self._standin.add_account(account.model_copy(update={"subscribed_fields": ()}))
        return control.json_response({"success": True})

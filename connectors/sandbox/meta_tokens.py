"""The access tokens of Pages and Instagram accounts: whose they are and how long they last."""

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any

from aiohttp import web

from connectors.sandbox.meta_account import Account
from connectors.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from connectors.sandbox.meta_standin import MetaStandin

LIFE = 5_184_000.0  # 60 days, of an Instagram User token


class Tokens:
    """Tokens as the accounts name them, and those that refreshing gave out for one of them.

    An account that is given another token, as after a changed password, takes them all back.
    """

    def __init__(self, standin: "MetaStandin[Any]") -> None:
        self._standin = standin
        self._refreshed: dict[str, tuple[str, str, float]] = {}

    def clear(self) -> None:
        self._refreshed.clear()

    def owner(self, token: str) -> tuple[Account, float | None]:
        """Whose token it is and when it ends. Raises `Refusal`."""
        found = [
            account
            for account in self._standin.accounts.values()
            if hmac.compare_digest(account.access_token.encode(), token.encode())
        ]
        if found:
            return found[0], found[0].token_expires_at
        key, origin, until = self._refreshed.get(token, ("", "", 0.0))
        account = self._standin.accounts.get(key)
        if account is None or account.access_token != origin:
            raise Refusal(190, "Invalid OAuth access token - Cannot parse access token")
        return account, until

    def account(self, request: web.Request, body: dict[str, Any] | None = None) -> Account:
        """The account whose token the call carries, in its header, query or body.

        The path must name that account, as "me" or by its id. Raises `Refusal`.
        """
        token = given(request, body)
        account, until = self.owner(token)
        if until is not None and until <= self._standin.now():
            raise Refusal(190, "Error validating access token: Session has expired", subcode=463)
        if account.needs_proof:
            proof = request.query.get("appsecret_proof") or (body or {}).get("appsecret_proof", "")
            right = hmac.new(account.app_secret.encode(), token.encode(), hashlib.sha256)
            if not hmac.compare_digest(right.hexdigest().encode(), str(proof).encode()):
                raise Refusal(100, "API calls from the server require an appsecret_proof argument")
        return account

    def named_account(self, request: web.Request, body: dict[str, Any] | None = None) -> Account:
        """The same, where the path's id must be that account. Raises `Refusal`."""
        account = self.account(request, body)
        if request.match_info["id"] not in ("me", account.path_id):
            raise missing(request.match_info["id"])
        return account

    def refresh(self, account: Account) -> tuple[str, float]:
        """A new token of the account, and the seconds it lasts."""
        token = "IGAA" + secrets.token_urlsafe(48)
        until = self._standin.now() + LIFE
        self._refreshed[token] = (account.key, account.access_token, until)
        return token, LIFE


def given(request: web.Request, body: dict[str, Any] | None = None) -> str:
    """The token of a call. Raises `Refusal` when there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    found = token if scheme == "Bearer" else request.query.get("access_token")
    found = found or (body or {}).get("access_token")
    if not isinstance(found, str) or not found:
        raise Refusal(190, "An access token is required to request this resource.")
    return found


def missing(id: str) -> Refusal:
    details = (
        f"Object with ID '{id}' does not exist, cannot be loaded due to missing permissions, "
        "or does not support this operation"
    )
    return Refusal(100, details, subcode=33)

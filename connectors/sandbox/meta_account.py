"""What Messenger's Pages and Instagram's accounts have in common, as their stand-ins are told."""

from pydantic import Field

from connectors.sandbox import account


class Account(account.Account):
    """One Page or Instagram account, connected to one Meta app.

    Accounts of one app have the same `app_id`, `app_secret`, `verify_token` and `hook_url`.
    Webhooks come only for `subscribed_fields`. `human_agent` is the reviewed feature of that
    name, `profiles` the right to read who a person is. `needs_proof` demands appsecret_proof.
    `token_expires_at` is in seconds UTC. `throughput` and `media_throughput` are sends a second.
    In `receipts`, "sent" is the echo. Meta waits 5 s for a hook.
    """

    hook_timeout: float = 5.0
    app_id: str = "310000000000001"
    access_token: str
    app_secret: str
    verify_token: str = ""
    subscribed_fields: tuple[str, ...]
    human_agent: bool = True
    profiles: bool = True
    needs_proof: bool = False
    token_expires_at: float | None = None
    throughput: int = Field(300, ge=1)
    media_throughput: int = Field(10, ge=1)

    @property
    def token_type(self) -> str:
        """What kind of token the account is called with, as debug_token names it."""
        return "PAGE"

    @property
    def path_id(self) -> str:
        """The id that stands for "me" in the paths of its API."""
        return self.key

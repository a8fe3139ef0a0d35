"""A Telegram bot, as the stand-in is told it."""

from pydantic import Field

from connectors.sandbox import account


class Bot(account.Account):
    """One bot. An empty `hook_url` means that it has no webhook, and polls.

    `parallel` posts updates side by side, as Telegram does, so that one may overtake another.
    `throughput` is in sends a second, `chat_burst` how many one chat takes before it is held to
    one a second.
    """

    receipts: tuple[()] = ()
    token: str = Field(pattern=r"^\d+:[\w-]+$")
    name: str = "Sandbox shop"
    username: str = "sandbox_shop_bot"
    secret_token: str = ""
    allowed_updates: tuple[str, ...] = ()
    parallel: bool = False
    throughput: int = Field(30, ge=1)
    chat_burst: int = Field(20, ge=1)

    @property
    def key(self) -> str:
        return self.token.partition(":")[0]

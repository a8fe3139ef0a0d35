"""A WhatsApp business number and its approved templates, as the stand-in is told them."""

import re

from pydantic import BaseModel, ConfigDict

from connectors.sandbox import account


class Template(BaseModel):
    """An approved template; its body's `{{1}}` or `{{name}}` are the parameters a send gives."""

    model_config = ConfigDict(extra="forbid")

    name: str
    language: str = "en"
    body: str = ""
    category: str = "utility"

    @property
    def parameters(self) -> int:
        return len(set(re.findall(r"{{(\w+)}}", self.body)))


class Account(account.Account):
    """One business number.

    `async_window_error` tells a closed window by a failed receipt instead of the answer.
    `pair_limit` switches on 1 message per 6 s to one customer after a burst of 45,
    `throughput` so many messages a second. `templates` None lets every template pass.
    """

    phone_number_id: str
    display_phone_number: str = "15550000001"
    waba_id: str = "102900000000001"
    access_token: str
    app_secret: str
    verify_token: str = ""
    verified_name: str = "Sandbox shop"
    async_window_error: bool = False
    pair_limit: bool = False
    throughput: int | None = None
    templates: tuple[Template, ...] | None = None

    @property
    def key(self) -> str:
        return self.phone_number_id

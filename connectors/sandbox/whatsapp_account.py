"""A WhatsApp business number and its templates, as the stand-in is told them."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict

from connectors.sandbox import account

Status = Literal["APPROVED", "PENDING", "REJECTED", "PAUSED", "DISABLED"]
Quality = Literal["GREEN", "YELLOW", "RED", "UNKNOWN"]


class TemplateButton(BaseModel):
    """A button of a template; a `url` may end in one variable, which a send gives."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["QUICK_REPLY", "URL"] = "QUICK_REPLY"
    text: str
    url: str | None = None


class Template(BaseModel):
    """A template; the `{{1}}` or `{{name}}` of header and body are the parameters a send gives.

    `header` is a line of text, or with `header_format` an attachment that each send brings.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    language: str = "en"
    body: str = ""
    category: str = "utility"
    status: Status = "APPROVED"
    quality: Quality = "GREEN"
    header: str = ""
    header_format: Literal["TEXT", "IMAGE", "VIDEO", "DOCUMENT"] = "TEXT"
    footer: str = ""
    buttons: tuple[TemplateButton, ...] = ()


def variables(text: str) -> list[str]:
    """The names of a text's variables, each once."""
    return list(dict.fromkeys(re.findall(r"{{(\w+)}}", text)))


class Account(account.Account):
    """One business number.

    `async_window_error` tells a closed window by a failed receipt instead of the answer.
    `pair_limit` switches on 1 message per 6 s to one customer after a burst of 45,
    `throughput` so many messages a second. `templates` None lets every template pass.
    `token_ends` is when the access token does, in epoch seconds; 0 is never.
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
    quality: Quality = "GREEN"
    messaging_limit: str = "TIER_2K"
    token_ends: int = 0

    @property
    def key(self) -> str:
        return self.phone_number_id

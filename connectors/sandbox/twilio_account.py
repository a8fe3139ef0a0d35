"""A sender of a Twilio account, as the stand-in is told it."""

from collections.abc import Collection

from pydantic import model_validator

from connectors.sandbox import account


class Account(account.Account):
    """One sender: `+1555...` for SMS, `whatsapp:+1555...` for WhatsApp.

    Several may share an `account_sid`. `retry` repeats unanswered webhooks: True until a
    2xx, a number so many times; Twilio's default is not at all. `opt_out` is Twilio's own
    handling of STOP, START and HELP; `advanced_opt_out` adds OptOutType to the webhook.
    """

    account_sid: str
    auth_token: str
    number: str
    messaging_service_sid: str | None = None
    friendly_name: str = "Sandbox shop"
    retry: bool | int = False
    opt_out: bool = True
    advanced_opt_out: bool = False

    @model_validator(mode="after")
    def _has_usual_receipts(self) -> "Account":
        if "receipts" not in self.model_fields_set and not self.is_whatsapp:
            self.receipts = ("sent", "delivered")
        return self

    @property
    def key(self) -> str:
        return self.number

    @property
    def names(self) -> Collection[str]:
        ids = (self.number, self.account_sid, self.messaging_service_sid)
        return tuple(name for name in ids if name)

    @property
    def is_whatsapp(self) -> bool:
        return self.number.startswith("whatsapp:")

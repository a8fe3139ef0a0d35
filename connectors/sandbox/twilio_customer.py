"""What a customer's phone can do on a Twilio sender, as the control calls take it."""

from pydantic import field_validator

from connectors.sandbox import customer

REFERRAL = frozenset(
    {
        *("body", "headline", "source_id", "source_type", "source_url", "media_id"),
        *("media_content_type", "media_url", "num_media", "ctwa_clid"),
    }
)


class CustomerMessage(customer.CustomerMessage):
    """One message of a customer. `forwarded` and `frequently_forwarded` are WhatsApp's, and so is
    `referral`, by the names of Twilio's fields in lower case: source_id, ctwa_clid and so on."""

    forwarded: bool = False
    frequently_forwarded: bool = False

    @field_validator("referral")
    @classmethod
    def _is_known(cls, given: dict[str, object] | None) -> dict[str, object] | None:
        if unknown := set(given or ()) - REFERRAL:
            raise ValueError(f"Twilio tells no {', '.join(sorted(unknown))} of a referral")
        return given

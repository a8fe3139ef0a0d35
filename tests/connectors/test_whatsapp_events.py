"""WhatsApp's receipts, signals, batches and other fields."""

from hub.message import (
    Alias,
    Message,
    ReceiptError,
)
from hub.signal import (
    Echo,
    Edit,
    NumberChange,
    OptOut,
    Reaction,
    TemplateChange,
    Unreadable,
    Unsend,
)
from tests.connectors import test_whatsapp_messages as messages
from tests.connectors.kit import (
    PAYLOADS,
    RECEIVED_AT,
    Case,
    connector_test,
)
from tests.connectors.whatsapp_number import (
    AT,
    BSUID,
    NUMBER,
    RIMA,
    make,
    media,
    raw,
    receipt,
    receives,
    sign,
    text,
    unsupported,
)


def judged(name: str, language: str, **what: str) -> TemplateChange:
    return TemplateChange(NUMBER, "102900000000888", RECEIVED_AT, name, language, **what)


SIGNALS: list[Case] = [
    receives("reaction", Reaction(NUMBER, RIMA, AT, "wamid.out1", "👍🏽")),
    receives("reaction_removed", Reaction(NUMBER, RIMA, AT, "wamid.out1", "")),
    receives("reaction_emptied", Reaction(NUMBER, RIMA, AT, "wamid.out1", "")),
    unsupported("reaction_to_nothing"),
    receives(
        "number_changed",
        NumberChange(NUMBER, RIMA, AT, "8801900000009", (Alias("phone", "+8801900000009"),)),
    ),
    receives(
        "number_changed_legacy",
        NumberChange(NUMBER, RIMA, AT, "8801900000009", (Alias("phone", "+8801900000009"),)),
    ),
    receives("user_id_changed", NumberChange(NUMBER, BSUID, AT, "MY.88bb")),
    receives("user_id_changed_unsaid", NumberChange(NUMBER, BSUID, AT, "MY.88bb")),
    unsupported("identity_changed"),
    receives("edit", Edit(NUMBER, RIMA, AT, "wamid.text", Message.of("corrected"))),
    receives(
        "edit_caption",
        Edit(
            NUMBER,
            RIMA,
            AT,
            "wamid.image",
            Message.of("new words", media=(media("image", "image/jpeg", "65", sha256=""),)),
        ),
    ),
    unsupported("edit_to_unknown"),
    receives("revoke", Unsend(NUMBER, RIMA, AT, "wamid.text")),
    receives("echo", Echo(NUMBER, RIMA, AT, "wamid.echo1", Message.of("typed on the phone"))),
    receives(
        "echoes_of_other_kinds",
        Edit(NUMBER, RIMA, AT, "wamid.echo1", Message.of("better")),
        Unsend(NUMBER, RIMA, AT, "wamid.echo1"),
        Echo(
            NUMBER,
            BSUID,
            AT,
            "wamid.e4",
            Message.of(media=(media("image", "image/png", "i9", sha256=""),)),
        ),
        Unreadable(
            NUMBER,
            "the business's own reaction",
            raw("echoes_of_other_kinds", 0, "value", "message_echoes", 3),
        ),
        Unreadable(
            NUMBER,
            "an echo of type hologram",
            raw("echoes_of_other_kinds", 0, "value", "message_echoes", 4),
        ),
    ),
    receives(
        "preferences",
        OptOut(NUMBER, RIMA, AT, True, "marketing"),
        OptOut(NUMBER, RIMA, AT, False, "marketing"),
        OptOut(NUMBER, RIMA, AT, False, "marketing"),
        OptOut(NUMBER, BSUID, AT, True, "marketing"),
        *(
            Unreadable(
                NUMBER,
                "a user preference the hub does not know",
                raw("preferences", 0, "value", "user_preferences", at),
            )
            for at in (4, 5)
        ),
    ),
    receives(
        "user_id_update",
        NumberChange(NUMBER, BSUID, AT, "MY.88bb"),
        Unreadable(
            NUMBER,
            "a user id update without both ids",
            raw("user_id_update", 0, "value", "user_id_update", 1),
        ),
    ),
]

STATUSES: list[Case] = [
    receives("status_sent", receipt("sent")),
    receives("statuses_of_all_kinds", receipt("delivered"), receipt("read"), receipt("read")),
    receives(
        "status_failed",
        receipt(
            "failed",
            error=ReceiptError(
                "131026", "no_such_recipient", "not on WhatsApp, or cannot receive this message"
            ),
        ),
    ),
    receives(
        "status_failed_oddly",
        receipt("failed", error=ReceiptError("990001", "refused", "Something new")),
        receipt(
            "failed", "wamid.out2", error=ReceiptError("", "refused", "WhatsApp gives no reason")
        ),
    ),
    receives("status_to_group", receipt("read")),
    receives(
        "status_warning_with_errors",
        Unreadable(
            NUMBER,
            "a status warning the hub does not know",
            raw("status_warning_with_errors", 0, "value", "statuses", 0),
        ),
    ),
    receives(
        "status_without_id",
        Unreadable(
            NUMBER,
            "a status read without the message's id",
            raw("status_without_id", 0, "value", "statuses", 0),
        ),
    ),
]

BATCHES: list[Case] = [
    receives(
        "batch_over_numbers",
        text("wamid.1", "one"),
        text("wamid.2", "two"),
        receipt("read"),
        text("wamid.3", "three", account="106500000000999"),
        receipt("delivered", "wamid.out9"),
    ),
    receives(
        "poisoned_between_good",
        text("wamid.1", "one"),
        Unreadable(NUMBER, "an item of messages is no object", None),
        Unreadable(NUMBER, "an item of messages is no object", "what"),
        Unreadable(NUMBER, "a message without an id", {"type": "text"}),
        text("wamid.2", "two"),
        Unreadable(NUMBER, "a change without a value", None),
        Unreadable(NUMBER, "a change without a value", {"field": "messages", "value": None}),
        receipt("read"),
        Unreadable(NUMBER, "an item of statuses is no object", 7),
    ),
    receives(
        "without_metadata",
        Unreadable(NUMBER, "messages without metadata.phone_number_id", raw("without_metadata")),
    ),
    receives(
        "value_errors",
        Unreadable(
            NUMBER,
            "WhatsApp reports error 131016: WhatsApp's service is temporarily unavailable",
            raw("value_errors", 0, "value", "errors", 0),
        ),
    ),
    receives(
        "template_status",
        judged("promo", "bn", status="approved"),
        judged("promo", "en", status="approved"),
        judged("promo", "bn", quality="yellow"),
        judged("promo", "bn", category="marketing"),
        Unreadable(
            NUMBER,
            "field message_template_quality_update holds nothing the hub reads",
            raw("template_status", 4),
        ),
    ),
    *(
        receives(name, Unreadable(NUMBER, reason, raw(name, 0)))
        for name, reason in (
            ("account_update", "field account_update holds nothing the hub reads"),
            ("call", "the hub does not read calls"),
            ("history", "the hub does not read history"),
        )
    ),
]

CASES = [*SIGNALS, *STATUSES, *BATCHES]

test_events = connector_test(make, CASES, sign=sign)


def test_every_payload_has_a_case() -> None:
    stored = {path.stem for path in (PAYLOADS / "whatsapp").glob("*.json")}
    assert stored == {case.name for case in (*messages.CASES, *CASES)}

"""WhatsApp through Twilio: what its webhooks say beyond those of SMS, and what it is sent."""

from typing import Literal

from hub.errors import (
    WindowClosed,
)
from hub.message import (
    Choice,
    Inbound,
    Media,
    Message,
    Place,
    Receipt,
    Referral,
    ReplyTo,
)
from hub.signal import OptOut
from tests.connectors.kit import (
    RECEIVED_AT,
    Case,
    Receives,
    Sends,
    connector_test,
    form_hook,
    post,
)
from tests.connectors.twilio_account import (
    CALLBACK,
    MEDIA,
    MESSAGES,
    RIMA,
    SENDER,
    accepted,
    maker,
    offline,
    on_whatsapp,
    payload,
    received,
    refused,
    sign_by_shared_key,
)


def tap(kind: Literal["quick_reply", "button"]) -> Choice:
    return Choice(type=kind, id="order:17:yes", title="Yes")


WHATSAPP_CASES: list[Case] = [
    Receives(
        "template button, quoting it",
        received("whatsapp_button"),
        [
            on_whatsapp(
                "SM11",
                Message.of("Yes", choice=tap("quick_reply")),
                reply_to=ReplyTo(external_id="MM9"),
            )
        ],
    ),
    Receives(
        "button of a free message",
        form_hook(
            payload("whatsapp_button")
            | {"MessageType": "interactive", "ButtonText": "", "OriginalRepliedMessageSid": ""}
        ),
        [
            on_whatsapp(
                "SM11",
                Message.of("Yes", choice=tap("button")),
            )
        ],
    ),
    Receives(
        "list row",
        received("whatsapp_list"),
        [
            on_whatsapp(
                "SM12",
                Message.of("Large", choice=Choice(type="list", id="size:l", title="Large")),
            )
        ],
    ),
    *(
        Receives(
            f"a filled form as {field}",
            form_hook(payload("whatsapp_username") | {"Body": "", field: '{"size":"l"}'}),
            [
                on_whatsapp(
                    "SM14",
                    Message.of(choice=Choice(type="postback", id='{"size":"l"}')),
                    sender="BD.77aa",
                    aliases=(),
                )
            ],
        )
        for field in ("FlowData", "InteractiveData")
    ),
    Receives(
        "location",
        received("whatsapp_location"),
        [
            on_whatsapp(
                "SM13",
                Message.of(
                    place=Place(
                        latitude=23.7806,
                        longitude=90.4193,
                        name="Office",
                        address="Gulshan 1, Dhaka",
                    )
                ),
            )
        ],
    ),
    *(
        Receives(
            f"a location that is nowhere: {wrong}",
            form_hook(payload("whatsapp_location") | wrong),
            [
                on_whatsapp(
                    "SM13",
                    Message(kind="unsupported"),
                    raw=payload("whatsapp_location") | wrong,
                )
            ],
        )
        for wrong in ({"Latitude": "-91"}, {"Longitude": "nan"}, {"Longitude": "east"})
    ),
    Receives(
        "a user without a number",
        received("whatsapp_username"),
        [on_whatsapp("SM14", Message.of("Hello"), sender="BD.77aa", aliases=())],
    ),
    Receives(
        "number and user id",
        received("whatsapp_number_and_username"),
        [on_whatsapp("SM15", Message.of("Hello"), also=("BD.77aa",))],
    ),
    Receives(
        "voice",
        received("whatsapp_voice"),
        [
            on_whatsapp(
                "MM16",
                Message.of(
                    media=(
                        Media(
                            kind="voice",
                            mime="audio/ogg; codecs=opus",
                            voice=True,
                            source_url=f"{MEDIA}/MM16/Media/ME3",
                        ),
                    )
                ),
            )
        ],
    ),
    Receives(
        "forwarded sticker",
        received("whatsapp_sticker_forwarded"),
        [
            on_whatsapp(
                "MM17",
                Message.of(
                    media=(
                        Media(
                            kind="sticker",
                            mime="image/webp",
                            source_url=f"{MEDIA}/MM17/Media/ME4",
                        ),
                    ),
                    forwarded=True,
                ),
            )
        ],
    ),
    Receives(
        "from an ad",
        received("whatsapp_ad"),
        [
            on_whatsapp(
                "SM18",
                Message.of("Is this available?"),
                referral=Referral(
                    source="ad",
                    type="image",
                    ad_id="120208",
                    headline="Red sari",
                    body="New in store",
                    url="https://fb.me/1abc",
                    click_id="ARAkLk",
                ),
            )
        ],
    ),
    Receives(
        "unsupported",
        received("whatsapp_unsupported"),
        [on_whatsapp("SM19", Message(kind="unsupported"), raw=payload("whatsapp_unsupported"))],
    ),
    *(
        Receives(
            f"{word!r} stops marketing alone",
            form_hook(payload("whatsapp_username") | {"Body": word}),
            [
                on_whatsapp("SM14", Message.of(word), sender="BD.77aa", aliases=()),
                OptOut(f"whatsapp:{SENDER}", "BD.77aa", RECEIVED_AT, on, "marketing"),
            ],
        )
        for word, on in (("STOP", True), (" বন্ধ\n", True), ("Subscribe", False))
    ),
    Receives(
        "read",
        received("status_read", query="m=a%2Fb"),
        [Receipt(f"whatsapp:{SENDER}", "SM32", "read", RECEIVED_AT, "a/b", recipient=RIMA)],
    ),
    Sends(
        "text",
        Message.of("good morning"),
        to=RIMA,
        expect=post(
            MESSAGES,
            form={
                "To": f"whatsapp:{RIMA}",
                "From": f"whatsapp:{SENDER}",
                "Body": "good morning",
                "StatusCallback": CALLBACK,
            },
        ),
        reply=accepted(),
        sent="SM7",
    ),
    Sends(
        "place",
        Message.of(place=Place(latitude=23.78, longitude=90.41, name="Shop")),
        to="BD.77aa",
        expect=post(
            MESSAGES,
            form={
                "To": "whatsapp:BD.77aa",
                "From": f"whatsapp:{SENDER}",
                "Body": "Shop",
                "PersistentAction": "geo:23.78,90.41|Shop",
                "StatusCallback": CALLBACK,
            },
        ),
        reply=accepted(),
        sent="SM7",
    ),
    Sends(
        "place with an address",
        Message.of(
            place=Place(latitude=23.78, longitude=90.41, name="দোকান", address="মিরপুর ১০,\nঢাকা")
        ),
        to=RIMA,
        expect=post(
            MESSAGES,
            form={
                "To": f"whatsapp:{RIMA}",
                "From": f"whatsapp:{SENDER}",
                "Body": "দোকান",
                "PersistentAction": "geo:23.78,90.41|দোকান, মিরপুর ১০, ঢাকা",
                "StatusCallback": CALLBACK,
            },
        ),
        reply=accepted(),
        sent="SM7",
    ),
    Sends(
        "window closed", Message.of("hello"), reply=refused(63016), fails=WindowClosed(code="63016")
    ),
]
test_whatsapp = connector_test(
    maker(sender=f"whatsapp:{SENDER}"), WHATSAPP_CASES, sign=sign_by_shared_key
)


def test_other_words_are_for_dialogs_on_whatsapp() -> None:
    tapped = {"Body": "STOP", "ButtonText": "STOP", "ButtonPayload": "x"}
    words = [{"Body": word} for word in ("START", "HELP", "YES", "please stop", "STOPALL")]
    for changes in (tapped, *words):
        form = payload("whatsapp_username") | changes
        [said] = offline(sender=f"whatsapp:{SENDER}").parse(form_hook(form))
        assert isinstance(said, Inbound)
        assert not said.message.standby
    mute = offline(sender=f"whatsapp:{SENDER}", stop_words=["", "Aufhören"], start_words=[])
    for word, count in (("STOP", 1), ("aufhören", 2), ("", 1)):
        assert len(mute.parse(form_hook(payload("whatsapp_username") | {"Body": word}))) == count

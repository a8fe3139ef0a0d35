"""What customers send on WhatsApp: one case for each kind, edge and pitfall."""

from hub.message import (
    Alias,
    Choice,
    ContactCard,
    Message,
    Order,
    OrderItem,
    Place,
    Profile,
    ReceiptError,
    Referral,
)
from tests.connectors.kit import (
    RECEIVED_AT,
    Case,
    connector_test,
)
from tests.connectors.whatsapp_number import (
    AT,
    BSUID,
    RIMA,
    inbound,
    make,
    media,
    quoting,
    raw,
    receipt,
    receives,
    sign,
    tapped,
    text,
    unsupported,
)

LOOKASIDE = "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=2754859441498128"
LONG_ID = "wamid.HBgNODgwMTcwMDAwMDAwMRUCABIYFDNBMkI="
FLOW = '{"flow_token":"t-1","size":"M","colours":["লাল","blue",7],"count":2,"agrees":true,"note":""}'
ANSWERS = "size: M\ncolours: লাল, blue, 7\ncount: 2\nagrees: true"


def filled(answers: str, text: str) -> Message:
    return Message.of(text, choice=Choice(type="postback", id=answers, title="Sent"))


TEXTS: list[Case] = [
    receives("text", text("wamid.text", "আমার অর্ডার কোথায়?")),
    receives("text_quoting", text("wamid.text", "this one", reply_to=quoting(LONG_ID))),
    receives("text_forwarded", inbound("wamid.text", Message.of("look", forwarded=True))),
    receives("text_forwarded_often", inbound("wamid.text", Message.of("look", forwarded=True))),
    receives(
        "text_of_product",
        text(
            "wamid.text",
            "Is this in stock?",
            reply_to=quoting("wamid.shop"),
            raw=raw("text_of_product"),
        ),
    ),
    receives(
        "text_from_ad",
        text(
            "wamid.text",
            "Hi",
            referral=Referral(
                source="ad",
                type="image",
                ad_id="120200",
                headline="Eid sale",
                body="50% off",
                url="https://fb.me/x1",
                click_id="ARAk..",
            ),
        ),
    ),
    receives(
        "text_from_post",
        text(
            "wamid.text",
            "Hi",
            referral=Referral(ref="page_9", source="post", headline="New", url="https://fb.me/p1"),
        ),
    ),
    receives(
        "text_in_group",
        text("wamid.text", "hi all", group="Y2FwaV9ncm91cDoxMjM", aliases=()),
    ),
    receives("text_at_odd_time", text("wamid.text", "when?", sent_at=RECEIVED_AT)),
    receives("text_in_milliseconds", text("wamid.text", "when?", sent_at=AT + 123_000)),
]

KINDS: list[Case] = [
    receives(
        "image",
        inbound(
            "wamid.image",
            Message.of(
                "the broken one",
                media=(media("image", "image/jpeg", "2754859441498128", source_url=LOOKASIDE),),
            ),
        ),
    ),
    receives(
        "video", inbound("wamid.video", Message.of(media=(media("video", "video/mp4", "v1"),)))
    ),
    receives(
        "document",
        inbound(
            "wamid.document",
            Message.of("invoice", media=(media("file", "application/pdf", "d1", name="চালান.pdf"),)),
        ),
    ),
    receives(
        "audio", inbound("wamid.audio", Message.of(media=(media("audio", "audio/mpeg", "a1"),)))
    ),
    receives(
        "audio_voice_note",
        inbound(
            "wamid.audio",
            Message.of(media=(media("voice", "audio/ogg; codecs=opus", "a2", voice=True),)),
        ),
    ),
    receives(
        "voice_legacy",
        inbound(
            "wamid.voice",
            Message.of(
                media=(media("voice", "audio/ogg; codecs=opus", "a3", voice=True, sha256=""),)
            ),
        ),
    ),
    receives(
        "sticker",
        inbound("wamid.sticker", Message.of(media=(media("sticker", "image/webp", "s1"),))),
    ),
    unsupported("media_without_id"),
    receives(
        "location",
        inbound(
            "wamid.location",
            Message.of(
                place=Place(
                    latitude=23.8103,
                    longitude=90.4125,
                    name="দোকান",
                    address="Gulshan 1, Dhaka",
                    url="https://shop.example",
                )
            ),
        ),
    ),
    receives(
        "location_bare",
        inbound("wamid.location", Message.of(place=Place(latitude=-33.5, longitude=0))),
    ),
    unsupported("location_unreadable"),
    receives(
        "contacts",
        inbound(
            "wamid.contacts",
            Message.of(
                contacts=(
                    ContactCard(
                        name="Karim Mia",
                        phones=("+880 1811-000000", "+8801822000000"),
                        emails=("karim@example.com",),
                    ),
                    ContactCard(phones=("16123",)),
                )
            ),
        ),
    ),
    receives(
        "contacts_vcard",
        inbound(
            "wamid.contacts",
            Message.of(
                contacts=(
                    ContactCard(
                        name="করিম স্টোর",
                        phones=("+880 1811-000000",),
                        emails=("k@example.com",),
                    ),
                )
            ),
        ),
    ),
    receives(
        "contacts_own_number",
        inbound(
            "wamid.contacts",
            Message.of(contacts=(ContactCard(phones=(f"+{RIMA}",), is_sender=True),)),
            sender=BSUID,
            profile=Profile(username="rima.b"),
        ),
    ),
    receives(
        "template_button",
        inbound(
            "wamid.button",
            tapped("quick_reply", "confirm-42", "Confirm"),
            reply_to=quoting("wamid.template"),
        ),
    ),
    receives(
        "button_reply",
        inbound("wamid.interactive", tapped("button", "yes", "হ্যাঁ"), reply_to=quoting("wamid.out1")),
    ),
    receives(
        "list_reply",
        inbound("wamid.interactive", tapped("list", "m", "Medium"), reply_to=quoting("wamid.out1")),
    ),
    receives(
        "flow_reply",
        inbound("wamid.interactive", filled(FLOW, f"Sent\n{ANSWERS}")),
    ),
    receives("flow_reply_oddly", inbound("wamid.interactive", filled("no JSON at all", "Sent"))),
    unsupported("call_permission_reply"),
    unsupported("interactive_missing"),
    receives(
        "order",
        inbound(
            "wamid.order",
            Message.of(
                "gift wrap please",
                order=Order(
                    catalog_id="c1",
                    items=(
                        OrderItem(product_id="saree-9", quantity=2, price=1250.5, currency="BDT"),
                        OrderItem(product_id="tip", quantity=1),
                    ),
                ),
            ),
        ),
    ),
    unsupported("unsupported"),
    unsupported("unsupported_with_text", "stray words"),
    unsupported("request_welcome"),
    unsupported("of_no_type", "hello"),
    unsupported("of_the_future"),
]

PEOPLE: list[Case] = [
    receives(
        "username_only",
        inbound(
            "wamid.in1",
            tapped("button", "yes", "Yes"),
            sender=BSUID,
            aliases=(),
            profile=Profile(name="Rima", username="rima.b"),
            reply_to=quoting("wamid.out1"),
        ),
        receipt(
            "failed",
            "wamid.out2",
            at=AT + 3_000_000,
            correlation_id="",
            recipient="BD.99zz",
            error=ReceiptError(
                "131047", "window_closed", "more than 24 hours since the customer's last message"
            ),
        ),
    ),
    receives(
        "both_ids",
        text(
            "wamid.text",
            "hi",
            also=(BSUID,),
            profile=Profile(name="Rima", username="rima.b"),
        ),
    ),
    receives(
        "user_id_in_from",
        text("wamid.text", "hi", sender=BSUID, aliases=(), profile=Profile()),
    ),
    receives("phone_known_by_contact", text("wamid.text", "hi", also=(BSUID,))),
    receives("nobody_but_one_contact", text("wamid.text", "hi")),
    receives("contact_of_another", text("wamid.text", "hi", profile=Profile())),
    receives("without_contacts", text("wamid.text", "hi", profile=Profile())),
    receives(
        "two_people",
        text("wamid.a", "first"),
        text(
            "wamid.b",
            "second",
            sender="8801800000008",
            aliases=(Alias("phone", "+8801800000008"),),
            profile=Profile(name="Karim"),
        ),
    ),
    receives(
        "brazil_mexico_argentina",
        *(
            text(
                f"wamid.{wa_id}",
                "oi",
                sender=wa_id,
                aliases=(Alias("phone", number),),
                profile=Profile(),
            )
            for wa_id, number in (
                ("551187654321", "+5511987654321"),
                ("5511987654321", "+5511987654321"),
                ("551132654321", "+551132654321"),  # a landline never had the 9
                ("5215512345678", "+525512345678"),
                ("5491123456789", "+541123456789"),
                ("541123456789", "+541123456789"),
            )
        ),
    ),
]

CASES = [*TEXTS, *KINDS, *PEOPLE]

test_messages = connector_test(make, CASES, sign=sign)

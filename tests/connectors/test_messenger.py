"""What customers send to a Page: one case for each kind, edge and pitfall."""

from hub.message import Button, Media, Message, Place, Referral, ReplyTo
from hub.signal import (
    DeliveredToCustomer,
    Edit,
    OptOut,
    ReadByCustomer,
    Unreadable,
    Unsend,
)
from tests.connectors.kit import Case, connector_test
from tests.connectors.meta_words import (
    AT,
    CDN,
    MID,
    PAGE,
    PSID,
    STICKER,
    Words,
    attached,
    came_by,
    make_page,
    shared,
    sign,
    tapped,
)

page = Words("messenger", PAGE, PSID, MID)
SHIRT = "https://shop.example/p/1"
BILL = "https://cdn.fbsbx.com/v/t59.2708-21/%E0%A6%9A%E0%A6%BE%E0%A6%B2%E0%A6%BE%E0%A6%A8.pdf?oh=ab"
EID = Referral(ref="eid-2026", source="SHORTLINK", type="OPEN_THREAD")
AD = Referral(source="ADS", type="OPEN_THREAD", ad_id="120200", headline="Eid sale")

TEXTS: list[Case] = [
    page.says("text", Message.of("হ্যালো 😀 & ok")),
    page.unsupported("text_empty"),
    page.says("text_null_beside_image", attached("image")),
    page.says("text_with_nlp_and_seq", Message.of("hi")),
    page.says("quick_reply", tapped("quick_reply", "YES", "হ্যাঁ")),
    page.says("quote", Message.of("this one"), reply_to=ReplyTo(external_id="m_out1")),
    page.says("message_from_ad", Message.of("hi"), referral=AD),
    page.says(
        "message_of_product",
        Message.of("still there?"),
        referral=Referral(ref="SKU-9", source="product"),
        raw=page.raw("message_of_product"),
    ),
    page.says("seconds", Message.of("when?"), sent_at=AT - 123_000),
    page.says("of_no_time", Message.of("when?"), sent_at=AT + 333_000),
]

ATTACHMENTS: list[Case] = [
    page.says("image", attached("image")),
    page.says(
        "images",
        Message.of(
            media=tuple(Media(kind="image", source_url=f"{CDN}{n}") for n in ("", "2", "3"))
        ),
    ),
    page.says(
        "image_with_text",
        Message.of("look", media=(Media(kind="image", source_url=CDN),)),
    ),
    page.says("video", attached("video", "https://video.xx.fbcdn.net/v/1.mp4?oe=1")),
    page.says("audio", attached("audio", "https://cdn.fbsbx.com/v/audioclip-1.mp4?oe=1")),
    page.says("file", attached("file", BILL, name="চালান.pdf")),
    page.says("sticker", attached("sticker", STICKER)),
    page.says("sticker_both_ways", attached("sticker", STICKER)),
    page.says("sticker_as_image", attached("sticker", STICKER)),
    page.receives("thumbs_up", *(page.inbound(Message.of("👍"), f"m_like{n}") for n in (1, 2, 3))),
    page.says("fallback", shared("fallback", SHIRT, "Blue shirt")),
    page.says(
        "fallback_beside_its_text",
        shared("fallback", SHIRT, "Blue shirt", f"see {SHIRT} please").model_copy(
            update={"kind": "text"}
        ),
    ),
    page.unsupported("fallback_without_payload"),
    page.unsupported("fallback_of_null"),
    page.unsupported("fallback_beside_text_without_payload", "https://fb.watch/x"),
    page.says("fallback_no_web", shared("fallback", title="My Documents/x.doc")),
    page.says("fallback_script", shared("fallback", title="free")),
    page.says("reel_relative", shared("reel", title="Eid look")),
    page.says("ig_reel", shared("ig_reel", "https://www.instagram.com/reel/1/", "Eid look")),
    page.says("post", shared("post", "https://www.facebook.com/1/posts/2", "New in")),
    page.says("ig_post", shared("ig_post", "https://www.instagram.com/p/1/", "New in")),
    page.says(
        "two_shares",
        shared("post", "https://www.facebook.com/1/posts/2"),
        raw=page.raw("two_shares"),
    ),
    page.says(
        "location",
        Message.of(place=Place(latitude=23.7806, longitude=90.4193, name="Rima's Location")),
    ),
    page.unsupported("location_unreadable"),
    page.unsupported("appointment"),
    page.says("template", Message.of("Blue shirt\n990 taka")),
    page.unsupported("attachment_of_unknown_type", "with words"),
    page.unsupported("attachment_of_null"),
    page.unsupported("attachments_of_null"),
    page.says("attachment_not_in_a_list", attached("image")),
    page.unsupported("media_of_no_web"),
    page.unsupported("nothing_in_it"),
    page.dead("message_is_null", "an item of a kind that the hub does not know"),
]

TAPS: list[Case] = [
    page.says("postback", tapped("postback", "GET_STARTED", "Get Started"), "m_pb1"),
    page.receives(
        "postback_without_mid",
        page.keyless("postback_without_mid", tapped("postback", "MENU", "মেনু")),
    ),
    page.says(
        "postback_first_by_link",
        tapped("postback", "GET_STARTED", "Get Started"),
        "m_pb1",
        referral=EID,
    ),
    page.dead("postback_empty", "a postback without a payload or a title"),
    page.receives("referral", page.keyless("referral", came_by(EID), referral=EID)),
    page.receives(
        "referral_ad",
        page.keyless(
            "referral_ad",
            came_by(AD),
            referral=AD.model_copy(update={"ref": "r"}),
        ),
    ),
    page.receives(
        "referral_by_chat_plugin",
        page.keyless(
            "referral_by_chat_plugin",
            shared("referral", "https://shop.example/cart"),
            referral=Referral(
                source="CUSTOMER_CHAT_PLUGIN",
                type="OPEN_THREAD",
                url="https://shop.example/cart",
            ),
        ),
    ),
    page.dead("referral_of_nothing", "a referral that tells nothing"),
]

WISHES: list[Case] = [
    page.receives("optin_notification", OptOut(PAGE, PSID, AT, False, "marketing")),
    page.receives("optin_stopped", *[OptOut(PAGE, PSID, AT, True, "marketing")] * 2),
    page.receives("optin_resumed", OptOut(PAGE, PSID, AT, False, "marketing")),
    page.receives(
        "optin_box",
        page.keyless(
            "optin_box",
            shared("referral"),
            referral=Referral(ref="newsletter", source="optin"),
        ),
    ),
    page.dead("optin_of_nobody", "an item without a sender's id"),
]

ABOUT: list[Case] = [
    page.receives(
        "reactions",
        *(page.reaction("m_out1", emoji) for emoji in ("❤", "🎉", "😆", "😂", "❔")),
    ),
    page.receives("reaction_removed", page.reaction("m_out1", "")),
    page.dead("reaction_to_nothing", "a reaction of nobody or to nothing"),
    page.dead("reaction_of_the_page", "the business's own reaction"),
    page.receives("edit", Edit(PAGE, PSID, AT, MID, Message.of("হ্যালো!"))),
    page.dead("edit_of_nothing", "an edit without a text or of nothing"),
    page.receives("deleted", Unsend(PAGE, PSID, AT, MID)),
    page.receives(
        "delivery",
        page.receipt("delivered", "m_out1", AT + 5_000),
        page.receipt("delivered", "m_out2", AT + 5_000),
    ),
    page.receives("delivery_by_watermark", DeliveredToCustomer(PAGE, PSID, AT + 5_000)),
    page.dead("delivery_of_nothing", "a delivery of nothing"),
    page.receives("read", ReadByCustomer(PAGE, PSID, AT + 9_000)),
    page.dead("read_of_nothing", "a read of nothing or by nobody"),
]

OURS: list[Case] = [
    page.echo("echo", "m_out1", Message.of("ok"), "m-42"),
    page.echo("echo_of_the_inbox", "m_out1", Message.of("from the inbox")),
    page.echo(
        "echo_of_buttons",
        "m_out1",
        Message.of(
            "Which?",
            buttons=(
                Button(id="a", title="A"),
                Button(id="", title="Shop", url="https://shop.example"),
            ),
        ),
    ),
    page.echo("echo_of_image", "m_out1", attached("image")),
    page.echo("echo_without_its_mark", "m_out1", Message.of("ok")),
    page.dead("echo_to_nobody", "a message without a sender's id"),
    page.receives("handover"),
    page.dead("policy", "Meta enforces its policy on the account: block"),
    page.receives(
        "standby",
        page.inbound(Message.of("to the other app", standby=True)),
        page.inbound(tapped("postback", "Menu", "Menu", standby=True), "m_pb1"),
        page.echoed("m_out1", Message.of("of the other app", standby=True)),
    ),
    page.receives(
        "feedback",
        page.keyless("feedback", Message(kind="unsupported"), raw=page.raw("feedback")),
    ),
    page.receives(
        "of_unknown_kind",
        page.keyless(
            "of_unknown_kind", Message(kind="unsupported"), raw=page.raw("of_unknown_kind")
        ),
        page.unreadable("of_unknown_kind", "an item of a kind that the hub does not know", 1),
    ),
]

ENVELOPES: list[Case] = [
    page.receives(
        "two_pages",
        page.inbound(Message.of("one"), "m_1"),
        page.inbound(Message.of("two"), "m_2"),
        page.inbound(
            Message.of("three"), "m_3", account="1048000000002", sender="7700000000000009"
        ),
    ),
    page.receives(
        "poisoned",
        page.inbound(Message.of("one"), "m_1"),
        page.unreadable("poisoned", "an item is no object", 1),
        page.unreadable("poisoned", "an item is no object", 2),
        page.unreadable("poisoned", "an item of a kind that the hub does not know", 3),
        page.unreadable("poisoned", "a message without an id", 4),
        page.inbound(Message.of("two"), "m_2"),
    ),
    page.receives(
        "public_and_empty",
        page.unreadable(
            "public_and_empty", "the hub does not read the field hologram", 1, key="changes"
        ),
        Unreadable(
            PAGE,
            "an entry with nothing in it that the hub reads",
            page.payload("public_and_empty")["entry"][1],
        ),
    ),
    page.receives(
        "dashboard_test",
        page.inbound(
            Message.of("test_message"),
            "test_message_id",
            account="0",
            sender="12334",
            sent_at=1_527_459_824_000_000,
        ),
    ),
    page.receives(
        "of_instagram",
        *(
            Unreadable(
                account,
                f"no channel has the Instagram account {account}",
                page.payload("of_instagram")["entry"][at],
            )
            for at, account in enumerate(("17841400000000042", "17841400000000043"))
        ),
    ),
    page.says("ids_as_numbers", Message.of("hi"), "m_1", sender="9007199254740993"),
    page.receives(
        "without_entry_id",
        page.inbound(Message.of("hi")),
        page.echoed("m_out1", Message.of("ok")),
    ),
    page.receives(
        "without_a_sender",
        page.unreadable("without_a_sender", "a message without a sender's id"),
        page.inbound(Message.of("me")),
    ),
    page.dead("without_a_mid", "a message without an id"),
]

CASES = [*TEXTS, *ATTACHMENTS, *TAPS, *WISHES, *ABOUT, *OURS, *ENVELOPES]
test_messenger = connector_test(make_page, CASES, sign=sign)

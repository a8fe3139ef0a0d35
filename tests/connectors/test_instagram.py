"""What customers send to an Instagram account: one case for each kind, edge and pitfall."""

from hub.message import Button, Media, Message, Referral, ReplyTo
from hub.signal import Edit, ReadByCustomer, Unreadable, Unsend
from tests.connectors.kit import Case, connector_test
from tests.connectors.meta_words import (
    ACCOUNT,
    AT,
    IG_MID,
    IGSID,
    LOOKASIDE,
    PAGE,
    Words,
    attached,
    came_by,
    make_account,
    shared,
    sign,
    sign_other,
    tapped,
)

ig = Words("instagram", ACCOUNT, IGSID, IG_MID)
STORY = "https://lookaside.fbsbx.com/ig_messaging_cdn/?a=1"
LINK = Referral(ref="eid", source="IGME-SOURCE-LINK", type="OPEN_THREAD")
AD = Referral(ref="r1", source="ADS", type="OPEN_THREAD", ad_id="120200", headline="Eid sale")
OUT = "igm.out.3"

KINDS: list[Case] = [
    ig.says("text", Message.of("হ্যালো 😀")),
    ig.says("image", attached("image", LOOKASIDE)),
    ig.says(
        "images",
        Message.of(
            media=tuple(Media(kind="image", source_url=f"{LOOKASIDE}{n}") for n in range(6))
        ),
    ),
    ig.says("video", attached("video", LOOKASIDE)),
    ig.says("audio", attached("audio", LOOKASIDE)),
    ig.says("file", attached("file", "https://lookaside.fbsbx.com/f/bill.pdf", name="bill.pdf")),
    ig.says("share", shared("share", "https://lookaside.fbsbx.com/ig_messaging_cdn/?p=1")),
    ig.says("ig_post", shared("ig_post", "https://www.instagram.com/p/1/", "New in")),
    ig.says("ig_reel", shared("ig_reel", "https://www.instagram.com/reel/1/", "Eid look")),
    ig.says("reel_relative", shared("reel", title="/reel/123/")),
    ig.unsupported("share_without_payload"),
    ig.says(
        "story_mention",
        shared("story_mention", LOOKASIDE).model_copy(update={"kind": "story_mention"}),
    ),
    ig.says("story_reply", Message.of("love it"), reply_to=ReplyTo(story_url=STORY)),
    ig.says("story_reply_expired", Message.of("love it"), reply_to=ReplyTo(quote="story")),
    ig.says("quote", Message.of("this one"), reply_to=ReplyTo(external_id=OUT)),
    ig.says("like_heart", Message.of("\u2764\ufe0f")),
    ig.says("like_heart_of_null", Message.of("\u2764\ufe0f")),
    ig.unsupported("unsupported"),
    ig.unsupported("unsupported_with_text", "in vanish mode"),
    ig.unsupported("unsupported_attachment"),
    ig.says("quick_reply", tapped("quick_reply", "NO", "না")),
    ig.says("postback", tapped("postback", "HOURS", "Hours?"), "igm.pb"),
    ig.receives("referral", ig.keyless("referral", came_by(LINK), referral=LINK)),
    ig.says("message_from_ad", Message.of("hi"), referral=AD),
    ig.says(
        "message_of_product",
        Message.of("still there?"),
        referral=Referral(ref="SKU-9", source="product"),
        raw=ig.raw("message_of_product"),
    ),
]

ABOUT: list[Case] = [
    ig.receives("unsent", Unsend(ACCOUNT, IGSID, AT, IG_MID)),
    ig.receives("edit", Edit(ACCOUNT, IGSID, AT, IG_MID, Message.of("হ্যালো!"))),
    ig.dead("edit_without_text", "an edit without a text or of nothing"),
    ig.receives("reactions", *(ig.reaction(OUT, emoji) for emoji in ("❤️", "😂", "🔥"))),
    ig.receives("reaction_removed", ig.reaction(OUT, "")),
    ig.receives("seen", ig.receipt("read", OUT), ReadByCustomer(ACCOUNT, IGSID, AT, OUT)),
    ig.echo("echo", OUT, Message.of("ok")),
    ig.echo(
        "echo_of_generic",
        OUT,
        Message.of("Blue shirt\n990 taka", buttons=(Button(id="buy", title="Buy"),)),
    ),
    ig.echo("echo_of_heart", OUT, Message.of("\u2764\ufe0f")),
    ig.receives("echo_unsent", Unsend(ACCOUNT, IGSID, AT, OUT)),
    ig.receives("to_itself"),
    ig.receives("standby", ig.inbound(Message.of("to the other app", standby=True))),
    ig.receives("handover"),
]

ENVELOPES: list[Case] = [
    ig.says("ids_as_numbers", Message.of("hi"), sent_at=AT - 123_000),
    ig.receives(
        "in_a_list",
        ig.inbound(Message.of("hi")),
        Unreadable(PAGE, f"no channel has the Page {PAGE}", ig.payload("in_a_list")[1]["entry"][0]),
    ),
    ig.receives("comments"),
    ig.receives(
        "dashboard_test",
        ig.inbound(
            Message.of("random_text"),
            "random_mid",
            account="0",
            sender="12334",
            sent_at=1_527_459_824_000_000,
        ),
    ),
    ig.receives(
        "two_accounts",
        ig.inbound(Message.of("one"), "igm.1"),
        ig.inbound(Message.of("two"), "igm.2"),
        ig.inbound(
            Message.of("three"),
            "igm.3",
            account="17841400000000043",
            sender="5500000000000009",
        ),
    ),
    ig.receives(
        "poisoned",
        ig.inbound(Message.of("one"), "igm.1"),
        ig.unreadable("poisoned", "an item is no object", 1),
        ig.unreadable("poisoned", "a message without a sender's id", 2),
        ig.inbound(Message.of("two"), "igm.2"),
    ),
    ig.receives(
        "of_whatsapp",
        Unreadable(
            "102290129340398",
            "no channel has the WhatsApp Business account 102290129340398",
            ig.payload("of_whatsapp")["entry"][0],
        ),
    ),
]

test_instagram = connector_test(make_account, [*KINDS, *ABOUT, *ENVELOPES], sign=sign)
test_by_the_other_secret = connector_test(make_account, KINDS[:1], sign=sign_other)

"""Fits one neutral message to what a channel can carry, before it is stored.

Each message given back is exactly one provider call. What the channel lacks is degraded to
text, and text too long for one call is split by `hub.split`.
"""

import mimetypes
from collections.abc import Callable
from urllib.parse import urlsplit

from hub.connector import Limits
from hub.errors import MediaFailed, Refused
from hub.menu import WEB, Menu, lay_out, link_lines, number
from hub.message import ContactCard, Format, Media, MediaKind, Message, Place, clean_text
from hub.split import MEASURES, locate, split

Link = Callable[[Media], str]
"""A public link to an attachment we keep, or "" where there is none."""


def no_link(_item: Media) -> str:
    return ""


def compose(
    message: Message, limits: Limits, *, language: str = "en", link: Link = no_link
) -> list[Message]:
    """The messages that say `message` on a channel with these limits, in the order to send.

    Attachments come first, then a place and contacts, then the text; buttons are on the last.
    Attachments carry the text as a caption where it fits and nothing is to be tapped.
    Buttons become native ones, else a list, else quick replies, else lines numbered in the digits
    of `language`; the number n stands for the n-th button without a url. In what is given back,
    buttons are a list (or, where the channel has no lists, quick replies) when there are more than
    `limits.buttons` of them, or one has a description or a title longer than
    `limits.button_title`, or the text is longer than `limits.button_body`. What buttons cannot
    show whole, or not to everybody, is numbered in the text as well.

    Formats stay with the words they are of. An attachment of a type or kind that the channel does
    not take goes as a file, else as a link: `link` gives one to what we keep.

    What only a customer sends (a choice, an order) is left out. A template stays whole where the
    channel has templates. Raises ValueError when there is nothing to say, MediaFailed for an
    attachment the channel cannot carry, Refused for a template without a text of its own.
    """
    if message.template is not None:
        if limits.templates:
            return [message]
        if not message.text.strip():
            raise Refused("this channel has no templates, and the message has no text of its own")
    albums, links = carry(message.media, limits, link)
    cards = native_cards(message, limits)
    menu = lay_out(message.buttons, limits, language)
    text = join(*words(message, limits), *links, menu.links)
    if menu.buttons and not (text or menu.numbered):
        # A body is required above native buttons, and inventing one would put words in our mouth.
        menu = Menu(links=link_lines(message.buttons), numbered=number(message.buttons, language))
        text = menu.links
    formats = place_formats(message, limits)
    parts = [Message.of(media=album) for album in albums]
    if fits_caption(join(text, menu.numbered), menu, albums, limits):
        parts[-1] = Message.of(join(text, menu.numbered), media=albums[-1], formats=formats)
        parts += cards
    else:
        parts += cards + written(text, formats, menu, limits)
    if not parts and message.subject.strip():
        parts = written(clean_text(message.subject), (), menu, limits)
    if not parts:
        raise ValueError("the message is empty")
    if limits.subjects and message.subject:
        parts = [part.model_copy(update={"subject": message.subject}) for part in parts]
    return parts


def join(*pieces: str) -> str:
    return "\n".join(piece for piece in pieces if piece.strip())


def words(message: Message, limits: Limits) -> list[str]:
    """What of the message is said in text on this channel, apart from buttons."""
    pieces = [clean_text(message.text)]
    if message.subject and not limits.subjects:
        pieces.insert(0, clean_text(message.subject))
    if message.share is not None:
        pieces += [clean_text(message.share.title), message.share.url]
    if message.place is not None and not limits.places:
        pieces.append(place_text(message.place))
    if not limits.contacts:
        pieces += [contact_text(card) for card in message.contacts]
    return pieces


def native_cards(message: Message, limits: Limits) -> list[Message]:
    """The place and the contacts as messages; one contact each, since not every provider takes
    several in one call."""
    cards = []
    if message.place is not None and limits.places:
        cards.append(Message.of(place=message.place))
    if limits.contacts:
        cards += [Message.of(contacts=(card,)) for card in message.contacts]
    return cards


def place_text(place: Place) -> str:
    point = ",".join(
        f"{degrees:.6f}".rstrip("0").rstrip(".") for degrees in (place.latitude, place.longitude)
    )
    return clean_text(join(place.name, place.address, f"https://maps.google.com/?q={point}"))


def contact_text(card: ContactCard) -> str:
    reached = ", ".join((*card.phones, *card.emails))
    return clean_text(": ".join(piece for piece in (card.name.strip(), reached) if piece))


def place_formats(message: Message, limits: Limits) -> tuple[Format, ...]:
    """The formats of the message's own words, which a subject may stand before."""
    if not message.formats or not message.text.strip():
        return ()
    subject = "" if limits.subjects else clean_text(message.subject)
    shift = len(subject) + 1 if subject.strip() else 0
    return tuple(one.model_copy(update={"start": one.start + shift}) for one in message.formats)


def written(text: str, formats: tuple[Format, ...], menu: Menu, limits: Limits) -> list[Message]:
    """The text and its menu as text messages."""
    measure = MEASURES[limits.text_unit]
    last = menu.body if menu.buttons else limits.text
    whole = join(text, menu.numbered)
    if measure(whole) <= last:
        pieces, starts = [whole], [0]
    elif menu.buttons and (not menu.numbered or measure(menu.numbered) > last):
        pieces = split(whole, limits.text, measure, last=last)
        starts = locate(whole, pieces)
    else:
        pieces = split(text, limits.text, measure) if text else []
        starts = locate(text, pieces)
        pieces = with_menu(pieces, menu, last, limits)
        starts += [len(text)] * (len(pieces) - len(starts))
    parts = [
        Message.of(piece, formats=clip(formats, start, start + len(piece)))
        for start, piece in zip(starts, pieces, strict=True)
        if piece
    ]
    if menu.buttons:
        parts[-1] = parts[-1].model_copy(update={"buttons": menu.buttons})
    return parts


def with_menu(pieces: list[str], menu: Menu, last: int, limits: Limits) -> list[str]:
    """The pieces of a text with the numbered menu after them, where a last one with it may
    measure `last`. The customer should see the whole menu at once, and no row of it cut in two."""
    measure = MEASURES[limits.text_unit]
    whole = measure(menu.numbered) <= last
    for rows in [menu.numbered] if whole else menu.numbered.split("\n"):
        if pieces and measure(join(pieces[-1], rows)) <= last:
            pieces[-1] = join(pieces[-1], rows)
        elif rows:
            pieces += split(rows, limits.text, measure)
    return pieces


def clip(formats: tuple[Format, ...], start: int, end: int) -> tuple[Format, ...]:
    """What of the formats falls between two offsets, counted from the first."""
    found = []
    for one in formats:
        begin, stop = max(one.start, start), min(one.start + one.length, end)
        if begin < stop:
            place = {"start": begin - start, "length": stop - begin}
            found.append(one.model_copy(update=place))
    return tuple(found)


# Attachments


def carry(
    media: tuple[Media, ...], limits: Limits, link: Link = no_link
) -> tuple[list[tuple[Media, ...]], list[str]]:
    """The attachments grouped by provider call, and lines of text for those sent as links."""
    carried: list[Media] = []
    links: list[str] = []
    for item in media:
        try:
            carried.append(fit_file(item, limits))
        except MediaFailed:
            if not (url := public_link(item, link)):
                raise
            name = " ".join(clean_text(item.name).split())
            links.append(f"{name}: {url}" if name else url)
    step = max(1, limits.media_count)
    albums = [tuple(carried[at : at + step]) for at in range(0, len(carried), step)]
    return albums, links


def kind_for(item: Media, limits: Limits) -> MediaKind | None:
    """As what kind the channel takes an attachment: as what it is, else as a plain file; None
    when it takes neither. A type that nobody knows is tried."""
    kind = item.kind
    if kind == "voice" and not limits.media.get(kind):
        kind = "audio"
    mime = mime_of(item)
    if not limits.media.get(kind):
        return None
    taken = limits.media_types.get(kind)
    if taken is None or not mime or mime in taken:
        return kind
    files = limits.media_types.get("file")
    if kind != "file" and limits.media.get("file") and (files is None or mime in files):
        return "file"
    return None


def mime_of(item: Media) -> str:
    """The attachment's type without parameters, as told or by its name's ending; or ""."""
    told = item.mime.partition(";")[0].strip().lower()
    if told and told != "application/octet-stream":
        return told
    named = item.name or urlsplit(item.source_url).path
    return mimetypes.guess_type(named, strict=False)[0] or ""


def fit_file(item: Media, limits: Limits) -> Media:
    """An attachment as the kind the channel takes it. Raises MediaFailed, which says why it does
    not."""
    kind = kind_for(item, limits)
    if kind is None:
        told = f" of type {mime_of(item)}" if limits.media.get(item.kind) else ""
        raise MediaFailed(f"this channel cannot carry {article(item.kind)}{told}")
    largest = limits.media[kind]
    if item.size is not None and item.size > largest:
        raise MediaFailed(
            f"this channel takes {article(kind)} of at most {megabytes(largest)},"
            f" and this one has {megabytes(item.size)}"
        )
    return item.model_copy(update={"kind": kind})


def public_link(item: Media, link: Link) -> str:
    """Where the customer may get an attachment herself, or ""."""
    return item.source_url if WEB.match(item.source_url) else link(item)


def article(kind: str) -> str:
    named = {"voice": "voice message"}.get(kind, kind)
    return f"an {named}" if named[0] in "aeiou" else f"a {named}"


def megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB" if size >= 100_000 else f"{size / 1000:.1f} KB"


def fits_caption(text: str, menu: Menu, albums: list[tuple[Media, ...]], limits: Limits) -> bool:
    return (
        bool(albums and text)
        and not menu.buttons
        and all(item.kind in limits.captions for item in albums[-1])
        and MEASURES[limits.text_unit](text) <= limits.caption
    )

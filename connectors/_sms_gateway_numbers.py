"""Phone numbers as gateways write them."""

import re
from typing import Literal

NumberStyle = Literal["e164", "digits", "double_zero", "local"]

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
DIALLED = re.compile(r"[\s().\-]+")
DIGITS = str.maketrans("০১২৩৪৫৬৭৮৯", "0123456789")


def read_number(given: str, country: str) -> str:
    """A sender as its E.164 number where it is one; a short code or a name stays as it is.

    A form turns a bare "+" into a space, so that a number which begins with one has it back.
    """
    value = given.strip().translate(DIGITS)
    plain = DIALLED.sub("", value)
    if not re.fullmatch(r"\+?[0-9]+", plain):
        return value
    if given[:1] == " " and not plain.startswith(("0", "+")):
        plain = "+" + plain
    plain = re.sub(r"^00(?=[1-9])", "+", plain)
    return full_number(plain, country) or value


def full_number(plain: str, country: str) -> str:
    """The E.164 form of a valid number, or ""."""
    import phonenumbers

    for tried in (plain, "+" + plain.lstrip("+")):
        try:
            number = phonenumbers.parse(tried, country)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return ""


def write_number(number: str, style: NumberStyle) -> str:
    """An E.164 number in the gateway's style; anything else stays as it is."""
    if not E164.fullmatch(number):
        return number
    if style == "digits":
        return number[1:]
    if style == "double_zero":
        return "00" + number[1:]
    if style == "local":
        return local_number(number)
    return number


def local_number(number: str) -> str:
    """A number as it is dialled in its own country: 01711000001."""
    import phonenumbers

    parsed = phonenumbers.parse(number)
    national = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    return re.sub(r"[^0-9]", "", national)

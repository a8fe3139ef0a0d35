"""How WhatsApp is asked to send an approved template."""

from typing import Any

from hub.message import Message, TemplateUse
from tests.connectors.kit import Case, connector_test
from tests.connectors.test_whatsapp_send import LINK, sends
from tests.connectors.whatsapp_number import make, sign


def template(**variables: str) -> Message:
    return Message.of(
        "as shown", template=TemplateUse(name="t", language="bn", variables=variables)
    )


def named(component: str, *parameters: Any) -> dict[str, Any]:
    return {"type": component, "parameters": list(parameters)}


CASES: list[Case] = [
    sends("bare template", template(), "template", {"name": "t", "language": {"code": "bn"}}),
    sends(
        "template by position",
        template(**{str(n): f"v{n}\n \tx" for n in (10, 2, 1)}),
        "template",
        {
            "name": "t",
            "language": {"code": "bn"},
            "components": [
                named("body", *({"type": "text", "text": f"v{n}   x"} for n in (1, 2, 10)))
            ],
        },
    ),
    sends(
        "template by name, with header and button",
        template(
            **{
                "order": "A-1",
                "when": "now",
                "header.image": LINK,
                "button.0": "A-1",
                "header.": "x",
            }
        ),
        "template",
        {
            "name": "t",
            "language": {"code": "bn"},
            "components": [
                named("header", {"type": "image", "image": {"link": LINK}}),
                named(
                    "body",
                    {"type": "text", "parameter_name": "order", "text": "A-1"},
                    {"type": "text", "parameter_name": "when", "text": "now"},
                    {"type": "text", "parameter_name": "header.", "text": "x"},
                ),
                {
                    "type": "button",
                    "sub_type": "url",
                    "index": "0",
                    "parameters": [{"type": "text", "text": "A-1"}],
                },
            ],
        },
    ),
    sends(
        "template whose buttons bring something back",
        template(**{"payload.1": "help:7", "button.0": "A\n1", "header.1": "A-1"}),
        "template",
        {
            "name": "t",
            "language": {"code": "bn"},
            "components": [
                named("header", {"type": "text", "text": "A-1"}),
                {
                    "type": "button",
                    "sub_type": "url",
                    "index": "0",
                    "parameters": [{"type": "text", "text": "A 1"}],
                },
                {
                    "type": "button",
                    "sub_type": "quick_reply",
                    "index": "1",
                    "parameters": [{"type": "payload", "payload": "help:7"}],
                },
            ],
        },
    ),
]

test_templates = connector_test(make, CASES, sign=sign)

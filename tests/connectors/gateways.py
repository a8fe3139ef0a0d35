"""The gateways of docs/sms-gateway.md, as channels."""

import re
import tomllib
from pathlib import Path
from typing import Any

from connectors.sms_gateway import SmsGateway
from hub.connector import ChannelRef, Http
from hub.settings import validate_channel
from tests.connectors.kit import HOOK_URL

PAGE = Path(__file__).parents[2] / "docs" / "sms-gateway.md"
BLOCK = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def resolved(value: Any) -> Any:
    """The value with each `{ env = NAME }` as a secret of that name."""
    if isinstance(value, dict):
        if set(value) == {"env"}:
            return f"{value['env']}-s3cret"
        return {name: resolved(inner) for name, inner in value.items()}
    return value


GATEWAYS: dict[str, dict[str, Any]] = {}
for block in BLOCK.findall(PAGE.read_text("utf-8")):
    GATEWAYS |= resolved(tomllib.loads(block)["channels"])


def gateway(name: str, http: Http, api_base: str, **changes: Any) -> SmsGateway:
    raw = GATEWAYS[name] | {"api_base": api_base} | changes
    settings = validate_channel(name, raw, SmsGateway.Settings)
    return SmsGateway(ChannelRef(bytes(16), name, "sms_gateway", HOOK_URL), settings, http)

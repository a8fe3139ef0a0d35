"""Values that leave the hub and come back: signed, so that they come back as they left."""

import base64
import hashlib
import hmac

from hub.clock import SECOND, Micros

MAC_BYTES = 16


class Signer:
    """Signs for one purpose: what is signed for another does not pass."""

    def __init__(self, secret_key: str, purpose: str) -> None:
        self._key = hmac.digest(secret_key.encode(), purpose.encode(), hashlib.sha256)

    def sign(self, value: bytes, until: Micros) -> str:
        """`value` and its time of expiry (to the second) as URL-safe text."""
        body = (until // SECOND).to_bytes(5, "big") + value
        return base64.urlsafe_b64encode(body + self._mac(body)).decode().rstrip("=")

    def open(self, text: str, now: Micros) -> bytes | None:
        """The value, or None when it is forged, cut or expired."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except ValueError:
            return None
        body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        if len(body) < 5 or not hmac.compare_digest(mac, self._mac(body)):
            return None
        return body[5:] if int.from_bytes(body[:5], "big") * SECOND > now else None

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)[:MAC_BYTES]

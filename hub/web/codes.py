"""One-time login codes, so that a command can print a link that logs its reader in."""

import secrets
import time

LIFETIME = 15 * 60.0


class LoginCodes:
    """Codes of this process; each works once, for fifteen minutes."""

    def __init__(self) -> None:
        self._codes: dict[str, tuple[str, float]] = {}

    def issue(self, token: str) -> str:
        """A code that can be exchanged for `token`."""
        now = time.monotonic()
        self._codes = {code: kept for code, kept in self._codes.items() if kept[1] > now}
        code = secrets.token_urlsafe(24)
        self._codes[code] = (token, now + LIFETIME)
        return code

    def redeem(self, code: str) -> str | None:
        """The code's token, or None when it is unknown, used or too old."""
        token, until = self._codes.pop(code, ("", 0.0))
        return token if until > time.monotonic() else None

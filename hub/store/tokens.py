"""API tokens: random, shown once, kept as SHA-256."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from hub.clock import Micros, new_id
from hub.store.schema import tokens

Role = Literal["admin", "supervisor", "agent"]
ROLES: tuple[Role, ...] = ("agent", "supervisor", "admin")
TokenRole = Role | Literal["metrics"]
"""A token for the metrics is nobody's: it opens their page and nothing else."""
PREFIX = "ot_"

_COLUMNS = (tokens.c.id, tokens.c.name, tokens.c.role, tokens.c.created_at, tokens.c.revoked_at)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it may be shown: never its secret."""

    id: bytes
    name: str
    role: TokenRole
    created_at: Micros
    revoked_at: Micros | None


def new_secret() -> str:
    """What the holder of a token presents: `ot_` and 32 random bytes in base64url."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> bytes:
    """SHA-256 is enough: the secret is random, so there is nothing to guess slowly."""
    return hashlib.sha256(secret.encode()).digest()


def create_token(
    conn: sa.Connection, name: str, role: TokenRole, secret_hash: bytes, now: Micros
) -> Token:
    token = Token(new_id(), name, role, now, None)
    conn.execute(
        sa.insert(tokens).values(
            id=token.id, name=name, role=role, hash=secret_hash, created_at=now
        )
    )
    return token


def list_tokens(conn: sa.Connection) -> list[Token]:
    """All, also the revoked ones, oldest first."""
    rows = conn.execute(sa.select(*_COLUMNS).order_by(tokens.c.id))
    return [Token(*row) for row in rows]


def revoke_tokens(conn: sa.Connection, name_or_id: str, now: Micros) -> int:
    """Revoke the token with this id, or all with this name; how many were still valid."""
    match = tokens.c.name == name_or_id
    if (as_id := _id(name_or_id)) is not None:
        match = sa.or_(match, tokens.c.id == as_id)
    return conn.execute(
        sa.update(tokens).where(match, tokens.c.revoked_at.is_(None)).values(revoked_at=now)
    ).rowcount


def find_token(conn: sa.Connection, secret_hash: bytes) -> Token | None:
    """The valid token of this hash."""
    row = conn.execute(
        sa.select(*_COLUMNS).where(tokens.c.hash == secret_hash, tokens.c.revoked_at.is_(None))
    ).first()
    return Token(*row) if row else None


def valid_tokens(conn: sa.Connection, ids: Sequence[bytes]) -> dict[bytes, Token]:
    """Those of the tokens that are somebody's and not revoked."""
    rows = conn.execute(
        sa.select(*_COLUMNS).where(
            tokens.c.id.in_(ids), tokens.c.revoked_at.is_(None), tokens.c.role.in_(ROLES)
        )
    )
    return {row.id: Token(*row) for row in rows}


def _id(text: str) -> bytes | None:
    try:
        value = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        return None
    return value if len(value) == 16 else None

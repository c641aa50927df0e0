"""Lots under a secret: each is an HMAC-SHA256 of names, so any one can be drawn alone and again."""

import hmac
from collections.abc import Sequence

SECRET_BYTES = 32


def lot(secret: bytes, *names: str) -> bytes:
    """32 bytes that depend on the secret and the names alone."""
    return hmac.digest(secret, b"".join(name.encode() + b"\0" for name in names), "sha256")


def opaque_id(secret: bytes, *names: str) -> str:
    """12 hex digits that tell nothing about the names."""
    return lot(secret, "id", *names).hex()[:12]


def shuffled(secret: bytes, label: str, names: Sequence[str]) -> list[str]:
    """The names in an order drawn by lot, whatever order they came in."""
    return sorted(names, key=lambda name: lot(secret, "order", label, name))


def below(secret: bytes, limit: int, *names: str) -> int:
    """A whole number in [0, limit)."""
    return int.from_bytes(lot(secret, "below", *names)[:8], "big") % limit

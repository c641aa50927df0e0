"""Randomness and order derived from names: any item alone, in any order, gives the same draw."""

import hashlib

from stages.files.json_text import dump_json


def digest(*parts: str) -> bytes:
    """SHA-256 of the parts, each closed by a NUL so that ("ab", "c") and ("a", "bc") differ."""
    return hashlib.sha256(b"".join(part.encode() + b"\0" for part in parts)).digest()


def hex_digest(*parts: str) -> str:
    """`digest` in hexadecimal."""
    return digest(*parts).hex()


def hash_settings(*settings: object) -> str:
    """Hex SHA-256 of JSON values, whatever the order of their keys."""
    return hex_digest(*map(dump_json, settings))


def uniform(*parts: str) -> float:
    """A number in [0, 1) that depends on the parts alone."""
    return int.from_bytes(digest(*parts)[:8], "big") / 2**64


def seed(*parts: str) -> int:
    """A 63-bit seed that depends on the parts alone."""
    return int.from_bytes(digest(*parts)[:8], "big") >> 1


def sha256_hex(data: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(data).hexdigest()

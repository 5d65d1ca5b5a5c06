"""Sealing secrets: AES-256-GCM with the server's one key, each value bound to its owner and its name.

The key is `RUNSTEAD_SECRETS_KEY`, or a file in the data folder that is made when the first secret is kept. Never a query,
never a log line: what goes in is given back only to who runs an agent's tools.
"""

from __future__ import annotations

import os
import secrets
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from runstead.errors import Unavailable
from runstead.settings import Settings

KEY_FILE = "secrets.key"
KEY_CHARS_MIN = 32
_KEY_BYTES = 32
_NONCE_BYTES = 12


class CannotOpen(Exception):
    """A sealed value that this key does not open."""


class _Cipher(Protocol):
    """What is used of the cipher, whose library is loaded with the first secret."""

    def encrypt(self, nonce: bytes, data: bytes, bound_to: bytes, /) -> bytes: ...
    def decrypt(self, nonce: bytes, data: bytes, bound_to: bytes, /) -> bytes: ...


class Vault:
    """Seals and opens. The key is looked for when the first secret comes."""

    def __init__(self, settings: Settings) -> None:
        self._given = settings.secrets_key
        self._file = settings.data_dir / KEY_FILE
        self._shared = not settings.database.startswith("sqlite")
        self._cipher: _Cipher | None = None

    def seal(self, owner: str, name: str, value: str) -> bytes:
        """The value, readable to nobody without the key. Raises `Unavailable` where no key can be had."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._with_key().encrypt(nonce, value.encode(), _bound_to(owner, name))

    def open(self, owner: str, name: str, sealed: bytes) -> str:
        """The value again. Raises `CannotOpen` where it was sealed with another key, or for another owner or name."""
        nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._with_key().decrypt(nonce, body, _bound_to(owner, name)).decode()
        except Exception as error:  # the library's one error of many kinds becomes ours
            if isinstance(error, Unavailable):
                raise
            raise CannotOpen(name) from None

    def _with_key(self) -> _Cipher:
        if self._cipher is None:
            aead = import_module("cryptography.hazmat.primitives.ciphers.aead")
            self._cipher = cast("_Cipher", aead.AESGCM(self._key()))
        return self._cipher

    def _key(self) -> bytes:
        if self._given is not None:
            text = self._given.reveal()
            if len(text) < KEY_CHARS_MIN:
                raise Unavailable(
                    f"RUNSTEAD_SECRETS_KEY has fewer than {KEY_CHARS_MIN} characters; take the output of"
                    " `openssl rand -base64 32`."
                )
            return sha256(b"runstead secrets\0" + text.encode()).digest()
        if self._shared:
            raise Unavailable(
                "Secrets cannot be kept: several processes may share this database, so the key must be the same for all of"
                " them. Set RUNSTEAD_SECRETS_KEY (the output of `openssl rand -base64 32`) for each."
            )
        return _key_in(self._file)


def _bound_to(owner: str, name: str) -> bytes:
    return f"{owner}\0{name}".encode()


def _key_in(path: Path) -> bytes:
    """The key in a file; made where there is none. Raises `Unavailable` where it cannot be read or written."""
    try:
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as error:
        raise Unavailable(
            f"The key of the secrets cannot be kept in {path} ({error.strerror}); set RUNSTEAD_SECRETS_KEY."
        ) from error
    if len(key) != _KEY_BYTES:
        raise Unavailable(
            f"{path} is no key of {_KEY_BYTES} bytes; put the old file back, or set RUNSTEAD_SECRETS_KEY."
        )
    return key


def _make(path: Path) -> None:
    """Write a new key that only this user can read; whole or not at all."""
    draft = path.with_suffix(f".{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, secrets.token_bytes(_KEY_BYTES))
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()

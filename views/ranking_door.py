"""Who may come in to the ranking page: one-time tokens, the sessions they are exchanged for, and whence a request came.

A link's token is good once and for a while; the browser that uses it gets a session, which lasts as long as the server.
Only digests are compared, in constant time. Nothing here is written down: after a restart there are new links.

Left out: passwords and accounts. The server listens on this machine only, and whoever reads its terminal may come in.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

TOKEN_SECONDS = 12 * 3600.0
"""How long a link that was not used is good: a working day."""


@dataclass
class _Token:
    """A link's token: whose it is, until when it is good, and whether it was used."""

    sum: bytes
    expert: str
    until: float
    spent: bool = False


class Entry(NamedTuple):
    """What a token was good for."""

    state: Literal["good", "spent", "expired"]
    expert: str
    session: str = ""
    """The secret by which the browser is known from now on; only if the token was good."""


class Door:
    """Lets in those who hold a token or a session; safe to share between threads."""

    def __init__(self, *, token_seconds: float = TOKEN_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        """Let nobody in yet; an unused token is good for ``token_seconds`` of ``clock``."""
        self._token_seconds = token_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: list[_Token] = []
        self._sessions: list[tuple[bytes, str]] = []

    def token(self, expert: str) -> str:
        """Return a new token of an expert; one of his that was not used is good no more."""
        token = secrets.token_urlsafe(32)
        now = self._clock()
        with self._lock:
            for old in self._tokens:
                if old.expert == expert:
                    old.until = min(old.until, now)
            self._tokens.append(_Token(_sum(token), expert, now + self._token_seconds))
        return token

    def exchange(self, token: str) -> Entry | None:
        """Spend a token and return what it was good for; None for one that never was."""
        asked = _sum(token)
        with self._lock:
            found = None
            for known in self._tokens:  # all of them, so that the time taken tells nothing
                if secrets.compare_digest(known.sum, asked):
                    found = known
            if found is None:
                return None
            if found.spent:
                return Entry("spent", found.expert)
            if self._clock() >= found.until:
                return Entry("expired", found.expert)
            found.spent = True
            session = secrets.token_urlsafe(32)
            self._sessions.append((_sum(session), found.expert))
            return Entry("good", found.expert, session)

    def expert(self, session: str) -> str | None:
        """Return whose session it is; None if it is none."""
        asked, found = _sum(session), None
        with self._lock:
            for known, expert in self._sessions:
                if secrets.compare_digest(known, asked):
                    found = expert
        return found


def _sum(secret: str) -> bytes:
    return hashlib.blake2b(secret.encode("utf-8", "surrogatepass"), digest_size=32).digest()


def welcome(headers: Mapping[str, list[str]], port: int, *, changes: bool, by_link: bool) -> bool:
    """Whether a request comes from where it may: this server's own pages, or a person who opens the address.

    The host must be this server's, or a name that a stranger points at 127.0.0.1 would read the page (DNS rebinding).
    Another program's page on another port is of the same *site*, so that a SameSite cookie is sent from there; only
    ``Origin`` and ``Sec-Fetch-Site`` tell it from ours.

    Args:
        headers: all values of each header, by its name in small letters.
        port: where the server listens.
        changes: whether something is to be changed; then it must be said that our own page asks for it.
        by_link: whether a link with a token is opened, which may come from anywhere.
    """
    host, origin, site = (headers.get(name, []) for name in ("host", "origin", "sec-fetch-site"))
    if len(host) != 1 or host[0] not in (f"127.0.0.1:{port}", f"localhost:{port}"):
        return False
    if origin and origin != [f"http://{host[0]}"]:
        return False
    if site and not by_link and site not in (["same-origin"], ["none"]):
        return False
    return not changes or bool(origin) or site == ["same-origin"]

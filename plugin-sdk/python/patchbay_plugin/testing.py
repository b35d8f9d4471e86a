"""Runs a plugin's logic in ordinary Python, with a scripted gateway in the place of the real one.

The contract's records come from target/patchbay/bindings, which every build writes: build once before the first test.
"""

from __future__ import annotations

import json
from typing import Any, Mapping

from .failure import Failure
from .http import Http, Request, Response
from .types import Body_Message, Channel, Content_Text, Conversation, Customer, Event, Message

#: When everything happens: milliseconds since the epoch.
NOW = 1_795_255_200_000
#: For how long a free-form message may be sent after the customer's last one: WhatsApp's 24 hours, in milliseconds.
WINDOW = 24 * 60 * 60 * 1000


def text_event(text: str) -> Event:
    """A customer wrote this, in a conversation that nothing was decided about."""
    customer = Customer("cu_1", "447700900001", None, None, None, "Ada", None)
    channel = Channel("main", "whatsapp", "100", "200")
    conversation = Conversation("co_1", channel, customer, [], None, [], NOW + WINDOW, False, False, False)
    message = Message("wamid.1", Content_Text(text), None, False, None, None)
    return Event("ev_1", NOW, NOW, conversation, Body_Message(message))


class FakeContext:
    """What a plugin may ask the host for, scripted."""

    def __init__(
        self,
        *,
        http: list[tuple[str, str, int, Any]] | None = None,
        media: Mapping[str, bytes] | None = None,
        secrets: Mapping[str, bytes] | None = None,
    ):
        """`http`: method, address, status and JSON of each request in order; `secrets` are for `equal` alone."""
        self.logged: list[tuple[str, str]] = []
        self.requests: list[Request] = []
        self._script = list(http or [])
        self._media = dict(media or {})
        self._secrets = dict(secrets or {})
        self.http = Http(self._answer, self.now)

    def attempt(self) -> int:
        """The first try."""
        return 1

    def now(self) -> float:
        """Seconds since the epoch."""
        return NOW / 1000

    def log(self, level: str, message: str) -> None:
        """Kept in `logged`."""
        self.logged.append((level, message))

    def verify(self, secret: str, _algorithm: str, _message: bytes, signature: bytes) -> bool:
        """Compares with the secret itself."""
        if secret not in self._secrets:
            raise Failure.permanent(f"secret `{secret}`: no such secret")
        return self._secrets[secret] == signature

    def media(self, media: str) -> FakeMedia:
        """Opens media of the script."""
        return FakeMedia(self._media[media])

    def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        if not self._script:
            raise AssertionError(f"{request.method} {request.url} stands in no script")
        method, url, status, body = self._script.pop(0)
        assert (request.method, request.url) == (method, url), f"{request.method} {request.url}, not {method} {url}"
        return Response(status, [], json.dumps(body).encode())


class FakeMedia:
    """Media that is open."""

    def __init__(self, content: bytes):
        """With these bytes."""
        self._content = content

    def size(self) -> int:
        """Bytes."""
        return len(self._content)

    def read(self, offset: int, length: int = 1 << 20) -> bytes:
        """Up to `length` bytes from `offset`."""
        return self._content[offset : offset + length]

    def all(self) -> bytes:
        """All bytes."""
        return self._content

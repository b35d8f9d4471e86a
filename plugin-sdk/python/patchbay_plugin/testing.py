"""Runs a plugin's logic in ordinary Python, with a scripted gateway in the place of the real one.

The contract's records come from target/patchbay/bindings, which every build writes: build once before the first test.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any, Mapping, Sequence

from .failure import Failure
from .http import Http, Request, Response, Stored, with_query
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
        store: Mapping[str, bytes] | None = None,
    ):
        """`http`: method, address, status and JSON of each request in order, uploads too; `secrets` are for `equal`
        alone; `store` is what is kept already."""
        self.logged: list[tuple[str, str]] = []
        self.requests: list[Request] = []
        self._script = list(http or [])
        self._media = dict(media or {})
        self._secrets = dict(secrets or {})
        self.http = Http(self._answer, self.now)
        self.store = FakeStore(store or {})

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
        if media not in self._media:
            raise Failure.permanent(f"media {media}: no such media")
        return FakeMedia(self._media[media])

    def upload(
        self,
        method: str,
        url: str,
        parts: Sequence[str | bytes | Stored],
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Kept in `requests`, with the media in its body, and answered by the script."""
        body = b"".join(self._bytes(part) for part in parts)
        return self._answer(Request(method, with_query(url, query), list((headers or {}).items()), body))

    def _bytes(self, part: str | bytes | Stored) -> bytes:
        if isinstance(part, Stored):
            content = self.media(part.media).all()
            return b64encode(content) if part.base64 else content
        return part.encode() if isinstance(part, str) else part

    def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        if not self._script:
            raise AssertionError(f"{request.method} {request.url} stands in no script")
        method, url, status, body = self._script.pop(0)
        assert (request.method, request.url) == (method, url), f"{request.method} {request.url}, not {method} {url}"
        return Response(status, [], json.dumps(body).encode(), url, self.now())


class FakeStore:
    """Keys and values, as a call sees them."""

    def __init__(self, values: Mapping[str, bytes]):
        """With these already."""
        self._values = dict(values)

    def get(self, key: str) -> bytes | None:
        """The value of a key."""
        return self._values.get(key)

    def set(self, key: str, value: bytes) -> None:
        """Writes a key."""
        self._values[key] = value

    def delete(self, key: str) -> None:
        """Removes a key; that it is not there is no failure."""
        self._values.pop(key, None)

    def has(self, key: str) -> bool:
        """Whether there is such a key."""
        return key in self._values

    def keys(self) -> list[str]:
        """All keys, sorted."""
        return sorted(self._values)


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

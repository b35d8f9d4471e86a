"""Asking other servers. Every request goes through the operator's grants, and the host adds the credentials."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Callable, Mapping
from urllib.parse import urlencode, urlsplit

from .failure import Failure

#: The header of an answer that the host gave in the place of a server that is not granted.
DENIED = "x-patchbay-denied"
#: Statuses below 500 that are worth another try: timeout, too early, too many requests.
AGAIN = (408, 425, 429)


@dataclass
class Request:
    """What is asked. `timeout` is in seconds; without one the gateway's own limits count."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    timeout: float | None = None


@dataclass
class Stored:
    """A part of an upload's body: the bytes of stored media, by its id, as they are or in standard base64."""

    media: str
    base64: bool = False


@dataclass
class Response:
    """What was answered; header names are lower-case. `at` is when, in seconds since the epoch."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    url: str = ""
    at: float = 0

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON; `Failure.permanent` if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise Failure.permanent(f"{host(self.url)} did not answer with JSON") from None

    def check(self) -> Response:
        """Gives a response of status 2xx back; raises the failure that another status means."""
        if 200 <= self.status < 300:
            return self
        if self.header(DENIED) is not None:
            raise Failure.permanent(self.text())
        reason = f"{host(self.url)} answered {self.status}"
        if self.status in AGAIN or self.status >= 500:
            raise Failure.retry(reason, retry_after(self.header("retry-after"), self.at))
        if self.status in (401, 403):
            raise Failure.credential(reason)
        raise Failure.permanent(reason)


class Http:
    """An HTTP client that waits for its answer."""

    def __init__(self, send: Callable[[Request], Response], now: Callable[[], float]):
        """`send` asks, and raises `Failure.retry` where nobody answers; `now` gives seconds since the epoch."""
        self._send = send
        self._now = now

    def request(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
        json_body: Any = None,
        timeout: float | None = None,
    ) -> Response:
        """Asks, and gives the answer of whatever status."""
        url = with_query(url, query)
        fields = [(name.lower(), value) for name, value in (headers or {}).items()]
        if json_body is not None:
            body = json.dumps(json_body)
            fields.append(("content-type", "application/json"))
        raw = body.encode() if isinstance(body, str) else body
        answer = self._send(Request(method.upper(), url, fields, raw, timeout))
        answer.url, answer.at = url, self._now()
        return answer

    def get(self, url: str, **options: Any) -> Response:
        """Asks with GET; raises the failure that a status other than 2xx means."""
        return self.request("GET", url, **options).check()

    def post(self, url: str, **options: Any) -> Response:
        """Asks with POST; raises the failure that a status other than 2xx means."""
        return self.request("POST", url, **options).check()

    def put(self, url: str, **options: Any) -> Response:
        """Asks with PUT; raises the failure that a status other than 2xx means."""
        return self.request("PUT", url, **options).check()


def with_query(url: str, query: Mapping[str, Any] | None) -> str:
    """A URL with these parameters, percent-encoded."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}" if query else url


def host(url: str) -> str:
    """The path can hold a customer's data: reasons name the host only."""
    return urlsplit(url).netloc or "the server"


def retry_after(text: str | None, now: float) -> float | None:
    """`Retry-After`, seconds or a date, as seconds from now."""
    if text is None:
        return None
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (TypeError, ValueError):
        return None

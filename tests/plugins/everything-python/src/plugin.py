"""Does what the customer's first word says, and answers with what came of it, as JSON."""

import json
import os
import random
import time
from string import ascii_lowercase

from patchbay_plugin import Failure, text_of
from patchbay_plugin.handler import Outcome
from patchbay_plugin.types import Body_MediaChecked, Event
from words import louder


class Handler:
    """The handler: each method whose name ends in an underscore is what a word stands for."""

    def handle(self, settings: dict, event: Event, cx) -> Outcome:
        """Looks at one event."""
        is_stored = isinstance(event.body, Body_MediaChecked)
        text = f"media {event.body.value.media.id}" if is_stored else text_of(event) or ""
        word, _, rest = text.partition(" ")
        if not hasattr(self, f"{word}_"):
            return Outcome()
        done = getattr(self, f"{word}_")(cx, settings, rest, event)
        return Outcome().send_text(louder(json.dumps(done, separators=(",", ":"))))

    def settings_(self, _cx, settings, _rest, _event):
        return settings

    def log_(self, cx, *_given):
        return cx.log("warn", "a line of the plugin about 447700900001")

    def remember_(self, cx, _settings, rest, _event):
        return cx.store.set("word", rest.encode())

    def recall_(self, cx, *_given):
        return [cx.store.get("word").decode(), cx.store.has("word"), cx.store.has("nothing"), cx.store.keys()]

    def forget_(self, cx, *_given):
        return [cx.store.delete("word"), cx.store.get("word"), cx.store.keys()]

    def verify_(self, cx, _settings, rest, _event):
        sha256, sha1, plain = rest.split(" ")
        ask = lambda algorithm, digits: cx.verify("signing", algorithm, b"hello", bytes.fromhex(digits))  # noqa: E731
        wrong = ask("hmac-sha256", sha1)
        return [
            ask("hmac-sha256", sha256),
            ask("hmac-sha1", sha1),
            wrong,
            cx.verify("signing", "equal", b"", plain.encode()),
        ]

    def secret_(self, cx, *_given):
        return cx.verify("no-such-secret", "equal", b"", b"")

    def clock_(self, cx, _settings, _rest, event):
        return [round(now * 1000) == event.received_at for now in (cx.now(), time.time())]

    def again_(self, cx, *_given):
        # Letters: the log shows no long numbers.
        drawn = "".join(random.choice(ascii_lowercase) + ascii_lowercase[byte % 26] for byte in os.urandom(8))
        if cx.attempt() > 1:
            return drawn
        cx.log("warn", f"drawn: {drawn}")
        raise Failure.retry("once more")

    def get_(self, cx, settings, *_given):
        return cx.http.get(f"{settings['shop']}/api/orders").json()

    def post_(self, cx, settings, *_given):
        return cx.http.post(f"{settings['shop']}/api/orders", body="x" * 100_000).text()

    def look_(self, cx, settings, *_given):
        return cx.http.request("GET", f"{settings['shop']}/admin").header("x-patchbay-denied")

    def denied_(self, cx, settings, *_given):
        return cx.http.get(f"{settings['shop']}/admin").text()

    def media_(self, cx, _settings, rest, _event):
        media = cx.media(rest)
        return [media.size(), list(media.read(1, 3)), len(media.all())]

    def permanent_(self, *_given):
        raise Failure.permanent("this will never do")

    def throw_(self, _cx, settings, *_given):
        return settings["nothing"]["there"]

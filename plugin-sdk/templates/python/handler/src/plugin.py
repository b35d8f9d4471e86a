"""Puts messages with a certain word into a queue of their own."""

from patchbay_plugin import text_of
from patchbay_plugin.handler import Outcome
from patchbay_plugin.types import Event


class Handler:
    """The handler."""

    def handle(self, settings: dict, event: Event, cx) -> Outcome:
        """Looks at one event; `settings` is what the operator wrote under `[plugins.NAME.settings]`."""
        word = settings["word"]
        if word.lower() not in (text_of(event) or "").lower():
            return Outcome()
        reason = f"the word “{word}” was there"
        return Outcome().assign(settings["queue"], priority="high", reason=reason).send_text("We are on it.")

"""The routing logic of the bench, in Python."""

from patchbay_plugin import text_of
from patchbay_plugin.handler import Outcome
from patchbay_plugin.types import Event


class Handler:
    """The handler."""

    def handle(self, settings: dict, event: Event, cx) -> Outcome:
        """Looks at one event."""
        text = text_of(event)
        if text is None:
            return Outcome()
        queue, tier, priority, word, reason = decide(settings, text)
        outcome = Outcome().assign(queue, tier=tier, priority=priority, reason=reason)
        return outcome.set_attribute("routing.word", word).note(reason)


def decide(settings: dict, given: str) -> tuple[str, int, str, str, str]:
    """Where a text belongs: the first rule with a word in it decides, whatever the case of its letters."""
    text = given.lower()
    for at, rule in enumerate(settings["rules"], 1):
        for word in rule["words"]:
            if word.lower() in text:
                return rule["queue"], rule["tier"], rule["priority"], word, f"rule {at} has “{word}”"
    return settings["default_queue"], 1, "normal", "", "no rule has a word of it"

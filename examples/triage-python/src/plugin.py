"""Scores how urgent a message is, and puts the conversation into a queue."""

from patchbay_plugin import Failure, text_of
from patchbay_plugin.handler import Outcome
from patchbay_plugin.types import Event
from score import QUEUES, SIGNS, place, score

#: The sign that makes it worth asking the status page.
OUTAGE = "an outage"


class Handler:
    """The handler."""

    def handle(self, settings: dict, event: Event, cx) -> Outcome:
        """Looks at one event."""
        text = text_of(event)
        # A person who has the conversation decides themselves.
        if text is None or event.conversation.human:
            return Outcome()
        found = score(text, settings.get("signs", SIGNS))
        outcome = Outcome().set_attribute("triage.score", found.points)
        queue = place(found.points, settings.get("queues", QUEUES))
        if queue:
            outcome.assign(queue["queue"], priority=queue["priority"], reason=found.reason)
        if "desk" in settings:
            outcome.open_ticket(settings["desk"])
        if OUTAGE in found.signs and "status" in settings:
            self.incident(settings["status"], outcome, cx)
        return outcome

    def incident(self, url: str, outcome: Outcome, cx) -> None:
        """Tells the customer about an incident that is known. A status page that is down itself stops nobody."""
        try:
            incident = cx.http.get(url, timeout=2).json()
        except Failure as failure:
            cx.log("warn", f"the status page: {failure.reason}")
            return
        if incident.get("open"):
            outcome.set_attribute("triage.incident", incident["title"])
            outcome.send_text(f"We know about it and are working on it: {incident['title']}.")

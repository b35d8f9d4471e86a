"""The plugin's logic, with a scripted gateway."""

import unittest

from patchbay_plugin.testing import FakeContext, text_event
from plugin import Handler
from score import QUEUES, SIGNS, place, score


class Scores(unittest.TestCase):
    """How urgent texts are."""

    def test_signs_add_up_and_lead_to_a_queue(self):
        for text, points, queue in [
            ("Good morning", 0, "support"),
            ("I want my money back!!", 5, "support"),
            ("The plug BURNED!!!", 12, "safety"),
        ]:
            found = score(text, SIGNS)
            self.assertEqual((found.points, place(found.points, QUEUES)["queue"]), (points, queue), text)


class TheHandler(unittest.TestCase):
    """What it decides."""

    def test_a_known_incident_is_told(self):
        script = [("GET", "https://status.example.com", 200, {"open": True, "title": "logins are slow"})]
        cx = FakeContext(http=script)
        outcome = Handler().handle({"status": "https://status.example.com"}, text_event("it is down"), cx)
        self.assertIn("logins are slow", outcome.actions[-1].value.content.value)

    def test_a_status_page_that_is_down_stops_nobody(self):
        cx = FakeContext(http=[("GET", "https://status.example.com", 503, {})])
        outcome = Handler().handle({"status": "https://status.example.com"}, text_event("it is down"), cx)
        self.assertEqual((len(outcome.actions), cx.logged[0][0]), (2, "warn"))

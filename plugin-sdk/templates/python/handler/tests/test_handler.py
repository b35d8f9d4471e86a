"""The plugin's logic, with a scripted gateway."""

import unittest

from patchbay_plugin.handler import Flow
from patchbay_plugin.testing import FakeContext, text_event
from plugin import Handler

SETTINGS = {"word": "invoice", "queue": "billing"}


class TheHandler(unittest.TestCase):
    """What it decides."""

    def test_the_word_decides_the_queue(self):
        outcome = Handler().handle(SETTINGS, text_event("My INVOICE?"), FakeContext())
        self.assertEqual(outcome.actions[0].value.queue, "billing")

    def test_everything_else_goes_on_to_the_next_handler(self):
        outcome = Handler().handle(SETTINGS, text_event("Hello"), FakeContext())
        self.assertEqual((outcome.actions, outcome.flow), ([], Flow.NEXT))

"""The plugin's logic, with a scripted gateway."""

import unittest

from patchbay_plugin import Failure
from patchbay_plugin.desk import Author_Gateway, Entry, Ticket
from patchbay_plugin.testing import FakeContext
from patchbay_plugin.types import Media, MediaKind
from plugin import Desk

SETTINGS = {"base_url": "https://desk.example.com/api"}


class TheDesk(unittest.TestCase):
    """What it asks, and what it makes of the answers."""

    def test_a_ticket_is_found_by_its_key(self):
        tickets = [{"id": "7", "url": None, "status": "new"}]
        script = [("GET", "https://desk.example.com/api/tickets?external_id=ta_1", 200, {"tickets": tickets})]
        found = Desk().find_ticket(SETTINGS, "ta_1", FakeContext(http=script))
        self.assertEqual(found.ticket.id, "7")

    def test_a_file_goes_along_with_its_entry(self):
        photo = Media("m_1", MediaKind.IMAGE, "image/png", None, None, None)
        entry = Entry(Author_Gateway(), "", [photo], True, 0)
        script = [
            ("POST", "https://desk.example.com/api/files?name=image.png", 201, {"id": "f1"}),
            ("POST", "https://desk.example.com/api/tickets/7/comments", 201, {"id": "c1"}),
        ]
        cx = FakeContext(http=script, media={"m_1": b"\x89PNG"})
        added = Desk().add_entry(SETTINGS, "ta_2", Ticket("", "7", None, "open", []), entry, cx)
        self.assertEqual((added.entry, cx.requests[0].body), ("c1", b"\x89PNG"))

    def test_a_server_that_is_down_is_asked_again(self):
        script = [("GET", "https://desk.example.com/api/tickets/7", 503, {})]
        with self.assertRaises(Failure) as raised:
            Desk().read_ticket(SETTINGS, "7", FakeContext(http=script))
        self.assertEqual(raised.exception.kind, "retry")

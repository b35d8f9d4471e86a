"""The plugin's logic, with a scripted gateway."""

import unittest

from patchbay_plugin.testing import FakeContext, FakeMedia
from patchbay_plugin.types import Decision, Media, MediaKind
from plugin import Inspector


class TheInspector(unittest.TestCase):
    """What it finds."""

    def test_a_picture_that_is_none_is_found(self):
        info = Media("m_1", MediaKind.IMAGE, "image/png", None, None, None)
        for content, decision in [(b"\x89PNG\r\n", Decision.PASS), (b"MZ", Decision.WARN)]:
            verdict = Inspector().inspect({}, info, FakeMedia(content), FakeContext())
            self.assertEqual(verdict.decision, decision)

"""Finds files that are not what they say they are."""

from patchbay_plugin.inspector import Verdict
from patchbay_plugin.types import Media

#: How files of a media type begin.
BEGINNINGS = {
    "image/jpeg": b"\xff\xd8\xff",
    "image/png": b"\x89PNG",
    "image/webp": b"RIFF",
    "application/pdf": b"%PDF-",
}


class Inspector:
    """The inspector."""

    def inspect(self, settings: dict, info: Media, media, cx) -> Verdict:
        """Looks at one file."""
        fits = media.read(0, 8).startswith(BEGINNINGS.get(info.mime, b""))
        verdict = Verdict("pass" if fits else "warn")
        if not fits:
            verdict.finding("wrong-type", f"the file does not begin as {info.mime} does")
        return verdict.measure("bytes", media.size())

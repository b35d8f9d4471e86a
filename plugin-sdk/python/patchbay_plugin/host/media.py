"""`cx.media`: stored media, for plugins that want `media`."""

from __future__ import annotations

from componentize_py_types import Err
from wit_world.imports import patchbay_plugin_blobs_0_2_0 as blobs

from ..failure import Failure

#: The most that the host gives in one read.
PIECE = 1 << 20


class Media:
    """Stored media that is open."""

    def __init__(self, blob: blobs.Blob):
        """Of a handle."""
        self._blob = blob

    def size(self) -> int:
        """Bytes."""
        return self._blob.size()

    def read(self, offset: int, length: int = PIECE) -> bytes:
        """Up to `length` bytes from `offset`; none: that was the end."""
        try:
            return self._blob.read(offset, length)
        except Err as error:
            raise Failure.retry(f"the media cannot be read: {error.value}") from None

    def all(self) -> bytes:
        """All bytes."""
        whole = bytearray()
        while piece := self.read(len(whole)):
            whole += piece
        return bytes(whole)


def given(argument: object) -> object:
    """An inspector is given media that is open already."""
    return Media(argument) if isinstance(argument, blobs.Blob) else argument


class Context:
    """Part of a call's context."""

    def media(self, media: str) -> Media:
        """Opens stored media by its id."""
        try:
            return Media(blobs.open(media))
        except Err as error:
            raise Failure.permanent(f"media {media}: {error.value}") from None

"""`cx.upload`: stored media sent on without its bytes passing through the plugin, for plugins that want `media` and a
host."""

from __future__ import annotations

from typing import Mapping, Sequence

from componentize_py_types import Err
from wit_world.imports import patchbay_plugin_uploads_0_2_0 as uploads

from ..failure import Failure
from ..http import Response


class Context:
    """Part of a call's context."""

    def upload(
        self, method: str, url: str, parts: Sequence[bytes | uploads.Part], headers: Mapping[str, str] | None = None
    ) -> Response:
        """Sends a request whose body is these parts in order: bytes, `Part_Media(id)`, `Part_MediaBase64(id)`."""
        body = [uploads.Part_Bytes(part) if isinstance(part, bytes) else part for part in parts]
        try:
            answer = uploads.send(uploads.Request(method, url, list((headers or {}).items()), body))
        except Err as error:
            raise Failure.retry(f"the upload was not answered: {error.value}") from None
        return Response(answer.status, answer.headers, answer.body, url)

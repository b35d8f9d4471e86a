"""`cx.upload`: stored media sent on without its bytes passing through the plugin, for plugins that want `media` and a
host."""

from __future__ import annotations

import time
from typing import Any, Mapping, Sequence

from componentize_py_types import Err
from wit_world.imports import patchbay_plugin_uploads_0_2_0 as uploads

from ..failure import Failure
from ..http import Response, Stored, host, with_query


class Context:
    """Part of a call's context."""

    def upload(
        self,
        method: str,
        url: str,
        parts: Sequence[str | bytes | Stored],
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Sends a request whose body is these parts in order, and gives the answer of whatever status: see `check`."""
        url = with_query(url, query)
        request = uploads.Request(method, url, list((headers or {}).items()), [part(given) for given in parts])
        try:
            answer = uploads.send(request)
        except Err as error:
            raise Failure.retry(f"{host(url)} did not answer: {error.value}") from None
        return Response(answer.status, answer.headers, answer.body, url, time.time())


def part(given: str | bytes | Stored) -> uploads.Part:
    """A part as the contract has it."""
    if isinstance(given, Stored):
        return uploads.Part_MediaBase64(given.media) if given.base64 else uploads.Part_Media(given.media)
    return uploads.Part_Bytes(given.encode() if isinstance(given, str) else given)

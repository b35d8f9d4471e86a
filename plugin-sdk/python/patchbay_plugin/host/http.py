"""`cx.http`, over wasi:http, for plugins that want a host."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from wit_world.imports import wasi_http_outgoing_handler_0_2_0 as outgoing
from wit_world.imports import wasi_http_types_0_2_0 as types
from wit_world.imports.wasi_io_streams_0_2_0 import StreamError_Closed

from ..failure import Failure
from ..http import Http, Request, Response

#: The most that a stream takes in one go.
WRITE = 4096
#: Bytes asked for at once.
READ = 64 * 1024
NANOSECONDS = 1_000_000_000

METHODS = {
    "GET": types.Method_Get,
    "HEAD": types.Method_Head,
    "POST": types.Method_Post,
    "PUT": types.Method_Put,
    "DELETE": types.Method_Delete,
    "PATCH": types.Method_Patch,
}


def send(request: Request) -> Response:
    """Asks one server and waits for the whole answer."""
    try:
        return receive(begin(request))
    except Err as error:
        reason = type(error.value).__name__.removeprefix("ErrorCode_")
        raise Failure.retry(f"{urlsplit(request.url).netloc} did not answer: {reason}") from None


def begin(request: Request) -> types.FutureIncomingResponse:
    """Sends a request."""
    url = urlsplit(request.url)
    headers = types.Fields.from_list([(name, value.encode()) for name, value in request.headers])
    message = types.OutgoingRequest(headers)
    method = METHODS.get(request.method)
    message.set_method(method() if method else types.Method_Other(request.method))
    message.set_scheme(types.Scheme_Http() if url.scheme == "http" else types.Scheme_Https())
    message.set_authority(url.netloc)
    message.set_path_with_query((url.path or "/") + (f"?{url.query}" if url.query else ""))
    options = None
    if request.timeout is not None:
        options = types.RequestOptions()
        wait = int(request.timeout * NANOSECONDS)
        options.set_connect_timeout(wait)
        options.set_first_byte_timeout(wait)
        options.set_between_bytes_timeout(wait)
    body = message.body()
    answer = outgoing.handle(message, options)
    # A stream is a child of its body: it has to be given back first.
    with body.write() as stream:
        for at in range(0, len(request.body), WRITE):
            stream.blocking_write_and_flush(request.body[at : at + WRITE])
    types.OutgoingBody.finish(body, None)
    return answer


def receive(future: types.FutureIncomingResponse) -> Response:
    """Waits for an answer, and reads it."""
    with future:
        while (got := future.get()) is None:
            with future.subscribe() as pollable:
                pollable.block()
    if not isinstance(got, Ok):
        raise Failure.retry("the answer was taken already")
    if not isinstance(got.value, Ok):
        raise got.value
    with got.value.value as message:
        status = message.status()
        with message.headers() as fields:
            headers = [(name.lower(), value.decode("latin-1")) for name, value in fields.entries()]
        pieces = []
        with message.consume() as body, body.stream() as stream:
            while True:
                try:
                    pieces.append(stream.blocking_read(READ))
                except Err as error:
                    if isinstance(error.value, StreamError_Closed):
                        break
                    raise
    return Response(status, headers, b"".join(pieces))


class Context:
    """Part of a call's context."""

    #: An HTTP client.
    http = Http(send, time.time)

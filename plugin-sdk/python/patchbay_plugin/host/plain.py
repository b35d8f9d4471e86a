"""What every plugin may ask the host for."""

from __future__ import annotations

import time

from componentize_py_types import Err
from wit_world.imports import patchbay_plugin_context_0_2_0 as contract

from ..failure import Failure


class Context:
    """The context of a call from the gateway."""

    def attempt(self) -> int:
        """How often this call was tried, 1 for the first time."""
        return contract.attempt()

    def now(self) -> float:
        """Now, in seconds since the epoch; for a handler, the time at which the gateway accepted the event."""
        return time.time()

    def log(self, level: str, message: str) -> None:
        """A line in the operator's log, under the plugin's name; `debug`, `info`, `warn`, `error`."""
        contract.log(contract.Level[level.upper()], message)

    def verify(self, secret: str, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Whether a signature is right under a secret that the plugin never sees."""
        try:
            return contract.verify(secret, algorithm, message, signature)
        except Err as error:
            raise Failure.permanent(f"secret `{secret}`: {error.value}") from None

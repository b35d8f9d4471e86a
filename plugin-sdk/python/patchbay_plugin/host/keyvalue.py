"""`cx.store`: keys and values that outlive a call, for plugins that want `keyvalue`."""

from __future__ import annotations

from typing import Any, Callable

from componentize_py_types import Err
from wit_world.imports import wasi_keyvalue_store_0_2_0_draft as keyvalue

from ..failure import Failure

#: The only bucket there is.
BUCKET = "default"


class Store:
    """What a call writes is kept when it has answered, and lost when it has not."""

    def get(self, key: str) -> bytes | None:
        """The value of a key."""
        return use(lambda bucket: bucket.get(key))

    def set(self, key: str, value: bytes) -> None:
        """Writes a key."""
        use(lambda bucket: bucket.set(key, value))

    def delete(self, key: str) -> None:
        """Removes a key; that it is not there is no failure."""
        use(lambda bucket: bucket.delete(key))

    def has(self, key: str) -> bool:
        """Whether there is such a key."""
        return use(lambda bucket: bucket.exists(key))

    def keys(self) -> list[str]:
        """All keys, sorted."""
        keys: list[str] = []
        cursor = None
        while True:
            page = use(lambda bucket: bucket.list_keys(cursor))
            keys += page.keys
            cursor = page.cursor
            if cursor is None:
                return keys


def use(work: Callable[[keyvalue.Bucket], Any]) -> Any:
    """Does something with the bucket."""
    try:
        with keyvalue.open(BUCKET) as bucket:
            return work(bucket)
    except Err as error:
        why = getattr(error.value, "value", type(error.value).__name__)
        raise Failure.retry(f"the key-value store: {why}") from None


class Context:
    """Part of a call's context."""

    #: Keys and values.
    store = Store()

"""What goes between the hub and the process that writes for it: pickles, each after its length.

Only for a pair of sockets between a process and its own child.
"""

import io
import pickle
import struct
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from operator import attrgetter
from typing import Any

HEAD = struct.Struct("<I")

Reduce = Callable[[Any], tuple[Any, ...]]


class Frames:
    """Cuts a stream into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that are whole now."""
        self._buffer += data
        frames: list[bytes] = []
        start = 0
        while len(self._buffer) - start >= HEAD.size:
            [length] = HEAD.unpack_from(self._buffer, start)
            end = start + HEAD.size + length
            if len(self._buffer) < end:
                break
            frames.append(bytes(self._buffer[start + HEAD.size : end]))
            start = end
        del self._buffer[:start]
        return frames


class _Reducers(dict[type, Reduce]):
    """Dataclasses go over as their constructor's arguments: what Python does by itself for a
    frozen one with slots costs more than the rest of a frame."""

    def __missing__(self, kind: type) -> Reduce:
        if not is_dataclass(kind) or not all(f.init and not f.kw_only for f in fields(kind)):
            raise KeyError(kind)
        names = [field.name for field in fields(kind)]
        values = attrgetter(*names) if len(names) > 1 else None

        def reduce(one: Any) -> tuple[Any, ...]:
            return kind, values(one) if values else tuple(getattr(one, name) for name in names)

        self[kind] = reduce
        return reduce


_REDUCERS = _Reducers()


def frame(value: object) -> bytes:
    """A value as one frame. Raises what pickle raises."""
    buffer = io.BytesIO(bytes(HEAD.size))
    buffer.seek(HEAD.size)
    pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = _REDUCERS
    pickler.dump(value)
    length = buffer.tell() - HEAD.size
    buffer.seek(0)
    buffer.write(HEAD.pack(length))
    return buffer.getvalue()


def unframe(data: bytes) -> Any:
    """The value of a frame that `Frames` has cut out."""
    return pickle.loads(data)  # it comes from our own child or parent

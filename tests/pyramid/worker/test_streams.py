from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyramid.worker.backoff import LONGEST_SECONDS, Backoff
from pyramid.worker.streams import (
    MAX_LINE_BYTES,
    Line,
    LineReader,
    LossyWriter,
    OutputBuffer,
    OutputGoneError,
)

TEXT = st.binary(max_size=20) | st.sampled_from([b"\n", b"\n\n", b"x" * MAX_LINE_BYTES])


@given(st.lists(TEXT, max_size=10))
def test_lines_do_not_depend_on_how_the_bytes_arrive(parts: list[bytes]) -> None:
    in_parts, at_once = LineReader(), LineReader()
    lines = [line for part in parts for line in in_parts.feed(part)]
    assert lines == at_once.feed(b"".join(parts))
    assert in_parts.finish() == at_once.finish()


@given(st.lists(st.binary(max_size=20).filter(lambda text: b"\n" not in text)), st.booleans())
def test_every_line_comes_once(texts: list[bytes], ends: bool) -> None:
    reader = LineReader()
    lines = reader.feed(b"".join(text + b"\n" for text in texts))
    assert lines == [Line(text, len(text)) for text in texts]
    assert reader.finish() == []


def test_of_a_line_that_is_too_long_the_beginning_is_kept() -> None:
    reader = LineReader()
    for _ in range(100):
        assert reader.feed(b"x" * MAX_LINE_BYTES) == []
    (line,) = reader.feed(b"\n")
    assert (len(line.text), line.size_bytes, line.too_long) == (MAX_LINE_BYTES, 100 * MAX_LINE_BYTES, True)
    assert reader.feed(b"next\n") == [Line(b"next", 4)]


def test_the_outbox_never_waits_for_its_reader() -> None:
    reading, writing = os.pipe()
    outbox = OutputBuffer(writing, room_bytes=1000)
    sent = bytes(range(256)) * 2000
    outbox.put(sent)
    assert len(outbox) > 0
    assert not outbox.has_room
    received = b""
    while len(received) < len(sent):
        received += os.read(reading, 100_000)
        outbox.flush()
    assert (received, len(outbox), outbox.has_room) == (sent, 0, True)
    os.close(reading)
    with pytest.raises(OutputGoneError):
        outbox.put(b"x")
    os.close(writing)


def test_a_lossy_writer_leaves_lines_out_rather_than_wait() -> None:
    reading, writing = os.pipe()
    diagnostics = LossyWriter(writing, room_bytes=1000)
    for number in range(10_000):
        diagnostics.put(f"line {number} {'x' * 50}\n".encode())
    taken = os.read(reading, 1_000_000)
    diagnostics.flush()
    diagnostics.put(b"lost\nlast\n")
    taken += os.read(reading, 1_000_000)
    lines = taken.decode().splitlines()
    assert lines[-2:] == [" ...", "last"]
    assert lines[:-2] == [f"line {number} {'x' * 50}" for number in range(len(lines) - 2)]
    assert diagnostics.descriptor is None
    os.close(reading)
    diagnostics.put(b"nobody reads this\n")
    assert diagnostics.descriptor is None
    os.close(writing)


def test_a_pause_grows_until_a_success() -> None:
    pause = Backoff()
    assert pause.left_seconds == 0
    seconds = [pause.begin() for _ in range(9)]
    assert seconds[:3] == [0.1, 0.2, 0.4]
    assert seconds[-1] == LONGEST_SECONDS
    assert LONGEST_SECONDS - 1 < pause.left_seconds <= LONGEST_SECONDS
    pause.forget()
    assert pause.left_seconds == 0
    assert pause.begin() == 0.1

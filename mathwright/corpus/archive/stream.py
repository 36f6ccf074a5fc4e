"""An archive as one stream of what it holds, which knows in which compressed frame each record begins."""

from __future__ import annotations

import re
from collections.abc import Callable

from mathwright.corpus.archive.frames import GZIP_MAGIC, PIECE_BYTES, ArchiveFile, compression_at, open_frames

PLAIN_STEP = 4096
FIRST_STEP = 512
"""For a header that may be none."""
_FRAME_STEP = 128
"""Headers in frames are read in small steps: a step that reads over the end of a record may reach the next frame,
whose place is then not known to the byte, and has to be read again."""
_HEAD_STEP = 1024
_APPROACH_STEP = 4096
_MAX_HEAD_BYTES = 64 << 10
_MAX_REWIND_BYTES = 16 << 20
_NOT_LINE_END = re.compile(rb"[^\r\n]")


class ArchiveStream:
    """What an archive holds from a frame, or a plain record, on, without compression.

    Positions count bytes of the stream. Bytes that cannot be decompressed raise OSError.
    """

    def __init__(self, archive: ArchiveFile, start: int, skip: int = 0, stop: int | None = None) -> None:
        """From `start` on without the first `skip` bytes of content; frames behind `stop` are not read."""
        self._archive = archive
        self._stop = stop
        self._start = start
        self.magic = compression_at(archive, start)
        self.buffer = b""
        """What was read behind `position`, and not yet taken."""
        self._end = skip
        """Of the next byte to read."""
        self.frame = start
        """Where the frame begins that holds the last byte read; in a plain archive, `start`."""
        self._anchor = (start, 0)
        """The last frame of which both places are known: in the archive and in the stream."""
        self._has_crossed = False
        """Whether it was read ahead over the beginning of a frame."""
        self.on_crossing: Callable[[], None] | None = None
        """Called when the first byte of another frame has been read."""
        self.plain_step = PLAIN_STEP
        """How much of a plain archive is read at least."""
        if self.magic:
            self._reopen()

    @property
    def position(self) -> int:
        """Of the next byte to take."""
        return self._end - len(self.buffer)

    def _reopen(self) -> None:
        """Drop what was read ahead, and read on from `position`, by way of the last frame whose place is known."""
        wanted = self.position
        self._base, self._end = self._anchor
        self.frame = self._base
        self._reader = open_frames(self._archive, self._base, self.magic, self._stop)
        # Having met damage, a reader may give what comes behind it. Kept as text: an exception kept here would keep
        # the reader alive, with its buffers, until the garbage collector comes.
        self._damage = ""
        self.buffer = b""
        self.skip(wanted - self._end)
        self._has_crossed = False

    def _read(self, size: int) -> bytes:
        """The next bytes of the archive, at most `size` of them."""
        if not self.magic:
            piece = self._archive.read(self._start + self._end, size)
        else:
            if self._damage:
                raise OSError(self._damage)
            try:
                piece = self._reader.read(size)
            except OSError as error:
                self._damage = str(error)
                raise
            frame = self._base + (self._reader.frame_start_position() or 0)
            if piece and frame != self.frame:
                self.frame = frame
                if self.on_crossing is not None:
                    self.on_crossing()
                if len(piece) == 1 and not self.buffer:
                    self._anchor = (frame, self._end)
                else:
                    self._has_crossed = True
        self._end += len(piece)
        if self.magic:
            self._archive.visit(len(piece))
            self._archive.furthest = max(self._archive.furthest, self._end)
        return piece

    def fill(self, size: int) -> bool:
        """Read up to `size` more bytes into the buffer (in a plain archive, more); False at the end."""
        try:
            piece = self._read(size if self.magic else max(size, self.plain_step))
        except OSError:
            if size == 1:
                raise
            return self._fill_up_to_damage(size)
        self.buffer = self.buffer + piece if self.buffer else piece
        return bool(piece)

    def _fill_up_to_damage(self, size: int) -> bool:
        """As `fill`, byte by byte, since an error takes with it all that was read at once."""
        before = len(self.buffer)
        self._reopen()
        try:
            while len(self.buffer) < before + size and self.fill(1):
                pass
        except OSError:
            if len(self.buffer) <= before:
                raise
        return len(self.buffer) > before

    def fill_header(self) -> bool:
        """Read a little more of a header; the longer it is already, the more."""
        size = len(self.buffer) // 2 if len(self.buffer) > 1 else 2 * _FRAME_STEP
        return self.fill(max(size, _FRAME_STEP))

    def take(self, size: int) -> bytes:
        """The next `size` bytes, or fewer at the end."""
        if self.on_crossing is not None and size > len(self.buffer) + _FRAME_STEP:
            self._approach(size)
        while (missing := size - len(self.buffer)) > 0 and (piece := self._read(missing)):
            self.buffer = self.buffer + piece if self.buffer else piece
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def _approach(self, size: int) -> None:
        """Fill the buffer towards `size` in growing steps, up to the end of the frame.

        One read could go over hundreds of small frames, of which the first may tell that it goes too far.
        """
        pieces, length, step = [self.buffer], len(self.buffer), _APPROACH_STEP
        while self.on_crossing is not None and length < size and (piece := self._read(min(step, size - length))):
            pieces.append(piece)
            length += len(piece)
            step = min(4 * step, PIECE_BYTES)
        self.buffer = b"".join(pieces)

    def give_back(self, data: bytes, *, has_crossed: bool) -> None:
        """Put bytes before the next one to take, where they came from; they may be of a frame already left."""
        self.buffer = data + self.buffer
        self._has_crossed = self._has_crossed or has_crossed

    def take_head(self, size: int) -> bytes:
        """The next bytes up to the first empty line and a little more, at most `size` of them.

        What follows can then be taken without being copied once more.
        """
        while b"\n\r\n" not in self.buffer[:size] and len(self.buffer) < min(size, _MAX_HEAD_BYTES):
            if not self.fill(min(size - len(self.buffer), _HEAD_STEP)):
                break
        return self.take(min(size, len(self.buffer)))

    def take_line_ends(self) -> bytes:
        """The line ends that the buffer begins with."""
        return self.take(len(self.buffer) - len(self.buffer.lstrip(b"\r\n")))

    def skip(self, size: int) -> int:
        """Pass over the next `size` bytes, or fewer at the end; returns how many."""
        start = self.position
        if not self.magic:
            position = min(start + size, self._archive.size - self._start)
            self.buffer = self.buffer[position - start :]
            self._end = position + len(self.buffer)
            return position - start
        self.buffer, left = self.buffer[size:], size - min(size, len(self.buffer))
        step = _APPROACH_STEP
        while left and (piece := self._read(min(left, PIECE_BYTES if self.on_crossing is None else step))):
            left -= len(piece)
            step = min(4 * step, PIECE_BYTES)
        return size - left

    def begin_record(self) -> int | None:
        """Pass over line ends; where the next record begins: its frame, or its own offset in a plain archive.

        None at the end of the archive.
        """
        while (text := _NOT_LINE_END.search(self.buffer)) is None:
            self.buffer = b""
            if not self.fill(1):
                return None
            self._has_crossed = False  # the frame of a single byte is known
        self.buffer = self.buffer[text.start() :]
        if not self.magic:
            return self._start + self.position
        self.settle()
        return self.frame if self.buffer or self.fill(1) else None

    def settle(self) -> None:
        """Make `frame` that of the byte before `position`, where reading ahead has left it unknown."""
        if self.buffer and self._has_crossed and self.position - self._anchor[1] <= _MAX_REWIND_BYTES:
            self._reopen()

    def restart(self) -> tuple[int, int]:
        """Start and skip of a stream that begins at `position`."""
        if not self.magic:
            return self._start + self.position, 0
        start, known = self._anchor
        return start, self.position - known

    def ends_with_frame(self) -> bool:
        """Whether the archive, read to its end, ends as a gzip member of what was read does, with its size.

        False says nothing: it is the quick answer to spare a second look at a large member.
        """
        start, known = self._anchor
        size = (self._end - known) % (1 << 32)
        tail = self._archive.read(max(0, self._archive.size - 4), 4)
        return self.magic == GZIP_MAGIC and start == self.frame and size > 0 and tail == size.to_bytes(4, "little")

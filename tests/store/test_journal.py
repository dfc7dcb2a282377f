"""The journal: each record stands once or is counted, whatever happens while it is written."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import Counter

import pytest

from tele.store.journal import Journal
from tele.store.layout import prepare

from .journal_lines import files, lines, numbers, span, told

MODES = ["process", "fsync", "buffered"]


@pytest.fixture
def layout(tmp_path):
    return prepare(tmp_path / ".tele")


def fail(monkeypatch, name, error=errno.EIO, *, times=10**9, after=0):
    """Have a function of `os` fail; the list that is returned gets the descriptor of each failed call."""
    real, failed, calls = getattr(os, name), [], [0]

    def failing(first, *rest, **named):
        calls[0] += 1
        if calls[0] <= after or len(failed) >= times:
            return real(first, *rest, **named)
        failed.append(first)
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, name, failing)
    return failed


def inode(fd):
    try:
        return os.fstat(fd).st_ino
    except OSError:  # the descriptor of the listing itself
        return None


def noting(touched, name, real):
    def noted(fd, *rest):
        touched.append((name, fd, inode(fd)))
        return real(fd, *rest)

    return noted


class TestWriting:
    def test_a_record_can_be_read_before_its_call_has_returned_to_anyone_else(self, layout):
        journal = Journal(layout)
        for number in range(3):
            journal.append(span(number))
            assert numbers(layout) == list(range(number + 1))

    def test_lines_are_json_and_numbered_without_gaps_across_threads(self, layout):
        journal = Journal(layout)
        threads = [threading.Thread(target=lambda: [journal.append(span(n)) for n in range(200)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [line["seq"] for line in lines(files(layout)[0])] == list(range(1601))

    def test_buffered_records_are_there_after_flush_close_and_a_quarter_second(self, layout):
        journal = Journal(layout, "buffered")
        journal.append(span(1))
        journal.flush()
        assert numbers(layout) == [1]
        journal.append(span(2))
        until = time.monotonic() + 5
        while numbers(layout) != [1, 2] and time.monotonic() < until:
            time.sleep(0.05)
        assert numbers(layout) == [1, 2]
        journal.append(span(3))
        journal.close()
        assert numbers(layout) == [1, 2, 3]

    def test_a_signal_handler_that_records_in_the_middle_loses_nothing(self, layout, monkeypatch):
        journal = Journal(layout)
        journal.append(span(0))
        write = os.write

        def interrupted(fd, data):
            monkeypatch.setattr(os, "write", write)
            journal.append(span(2))  # as a handler would, between two bytecodes of the call below it
            return write(fd, data)

        monkeypatch.setattr(os, "write", interrupted)
        journal.append(span(1))
        assert numbers(layout) == [0, 1, 2]

    @pytest.mark.parametrize("mode", MODES)
    def test_a_signal_handler_that_records_while_a_loss_is_told_or_a_buffer_flushed_loses_nothing(
        self, layout, monkeypatch, mode
    ):
        journal = Journal(layout, mode)
        journal.append(span(0))
        journal.dropped["for a test"] += 1
        write = os.write

        def interrupted(fd, data):
            monkeypatch.setattr(os, "write", write)
            journal.append(span(1))
            return write(fd, data)

        monkeypatch.setattr(os, "write", interrupted)
        journal.flush()
        journal.check()
        journal.close()
        assert numbers(layout) == [0, 1]
        assert [loss["why"] for loss in told(layout)] == [{"for a test": 1}]

    @pytest.mark.parametrize("mode", MODES)
    def test_an_interrupt_inside_a_write_ends_the_file_and_nothing_stands_twice(self, layout, monkeypatch, mode):
        journal = Journal(layout, mode)
        journal.append(span(0))
        journal.flush()
        write = os.write

        def interrupted(fd, data):
            monkeypatch.setattr(os, "write", write)
            write(fd, data)
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            [journal.append(span(1)), journal.flush()]
        journal.append(span(2))
        journal.close()
        assert numbers(layout) == [0, 1, 2]
        assert len(files(layout)) == 2
        assert journal.dropped == {}

    @pytest.mark.parametrize("name", ["write", "rename", "close"])
    def test_an_interrupt_while_a_file_is_begun_leaves_neither_a_descriptor_nor_a_file(self, layout, monkeypatch, name):
        journal = Journal(layout)
        before, real = os.listdir("/dev/fd"), getattr(os, name)

        def interrupted(*args, **named):
            monkeypatch.undo()
            real(*args, **named)
            raise KeyboardInterrupt  # as a signal handler does when the call returns

        monkeypatch.setattr(os, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            journal.append(span(1))
        assert len(os.listdir("/dev/fd")) == len(before)
        assert list(layout.journals.iterdir()) == []
        journal.append(span(2))
        assert numbers(layout) == [2]


class TestFailing:
    @pytest.mark.parametrize("mode", MODES)
    def test_a_full_disk_costs_only_what_it_could_not_hold_and_the_loss_is_told(self, layout, monkeypatch, mode):
        journal = Journal(layout, mode)
        journal.append(span(0))
        journal.flush()
        fail(monkeypatch, "write", errno.ENOSPC)
        for number in range(1, 6):
            journal.append(span(number))
            journal.flush()
        monkeypatch.undo()
        journal.append(span(6))
        journal.close()
        assert journal.dropped == {"No space left on device": 5}
        assert numbers(layout) == [0, 6]
        assert told(layout) == [{"count": 5, "why": {"No space left on device": 5}}]

    @pytest.mark.parametrize("mode", MODES)
    def test_a_write_that_fails_once_loses_nothing(self, layout, monkeypatch, mode):
        journal = Journal(layout, mode)
        journal.append(span(0))
        journal.flush()
        fail(monkeypatch, "write", times=1)
        journal.append(span(1))
        journal.append(span(2))
        journal.close()
        assert (numbers(layout), journal.dropped) == ([0, 1, 2], {})
        assert len(files(layout)) == 2

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("size", [1, 20, 300])
    def test_a_write_that_is_cut_short_loses_nothing_and_leaves_no_torn_line(self, layout, monkeypatch, mode, size):
        journal = Journal(layout, mode)
        journal.append(span(0))
        journal.flush()
        write = os.write

        def short(fd, data):
            monkeypatch.setattr(os, "write", write)
            return write(fd, data[:size])

        monkeypatch.setattr(os, "write", short)
        for number in (1, 2, 3):
            journal.append(span(number, text="x" * 100))
        journal.close()
        assert (numbers(layout), journal.dropped) == ([0, 1, 2, 3], {})

    def test_what_may_still_stand_in_a_file_that_cannot_be_cut_is_counted_and_not_written_again(
        self, layout, monkeypatch
    ):
        journal = Journal(layout, "fsync")
        journal.append(span(0))
        fail(monkeypatch, "fdatasync")
        fail(monkeypatch, "ftruncate")
        journal.append(span(1))
        monkeypatch.undo()
        journal.append(span(2))
        assert numbers(layout) == [0, 1, 2], "it stands, but not for sure on the disk"
        assert journal.dropped == {"Input/output error": 1}

    def test_a_descriptor_whose_fsync_failed_is_never_synced_again_nor_written_to(self, layout, monkeypatch):
        journal = Journal(layout, "fsync")
        journal.append(span(0))
        first = files(layout)[0].stat().st_ino
        [bad] = [fd for fd in map(int, os.listdir("/dev/fd")) if inode(fd) == first]
        touched = []
        fail(monkeypatch, "fdatasync", times=1)
        for name in ("fsync", "fdatasync", "write"):
            monkeypatch.setattr(os, name, noting(touched, name, getattr(os, name)))
        journal.append(span(1))
        assert [name for name, fd, file in touched if (fd, file) == (bad, first)] == ["write", "fdatasync"]
        assert (numbers(layout), len(files(layout)), journal.dropped) == ([0, 1], 2, {})

    def test_a_file_that_refused_a_record_takes_the_next_one_so_that_a_full_disk_is_not_littered(
        self, layout, monkeypatch
    ):
        journal = Journal(layout)
        write = os.write

        def no_room_for_large_ones(fd, data):
            if len(data) > 5000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(fd, data)

        monkeypatch.setattr(os, "write", no_room_for_large_ones)
        for number in range(20):
            journal.append(span(number, text="x" * 6000))
        monkeypatch.undo()
        journal.append(span(20))
        assert numbers(layout) == [20]
        assert told(layout)[-1]["why"] == {"No space left on device": 20}
        assert len(files(layout)) == 1

    def test_a_file_that_was_removed_is_noticed_and_what_it_held_is_told(self, layout):
        journal = Journal(layout)
        journal.append(span(0))
        journal.append(span(1))
        files(layout)[0].unlink()
        journal.check()
        journal.append(span(2))
        assert journal.dropped == {"the journal's file was removed": 2}
        assert numbers(layout) == [2]
        assert told(layout) == [{"count": 2, "why": {"the journal's file was removed": 2}}]

    def test_a_marker_that_was_removed_does_not_matter(self, layout):
        journal = Journal(layout)
        journal.append(span(0))
        next(layout.journals.glob("*.born")).unlink()
        journal.check()
        journal.append(span(1))
        assert (numbers(layout), len(files(layout)), journal.dropped) == ([0, 1], 1, {})

    def test_a_loss_is_told_once_by_all_the_journals_of_a_process_together(self, layout, monkeypatch):
        lost: Counter[str] = Counter()
        first = Journal(layout, dropped=lost)
        fail(monkeypatch, "write", errno.ENOSPC)
        first.append(span(0))
        monkeypatch.undo()
        first.append(span(1))
        first.close()
        second = Journal(layout, dropped=lost)
        second.append(span(2))
        assert told(layout) == [{"count": 1, "why": {"No space left on device": 1}}]

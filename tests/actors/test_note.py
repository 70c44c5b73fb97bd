"""Notes in shared memory, which outlive the process that wrote them."""

from __future__ import annotations

import os

import pytest

from callboard.actors.note import SEATS, NoNote, Note, Notebook


def test_a_process_that_dies_leaves_its_note() -> None:
    notebook = Notebook()
    page = notebook.take()
    child = os.fork()
    if child == 0:
        note = Note(notebook.fd, page)
        note.begin(0, "first")
        note.begin(3, "second")
        note.begin(1, "ended")
        note.end(1)
        os._exit(7)
    os.waitpid(child, 0)
    assert notebook.running(page) == [b"first", b"second"] and notebook.error(page) is None
    notebook.close()


def test_a_page_is_clean_when_it_is_taken_again() -> None:
    notebook = Notebook(2)
    first, second = notebook.take(), notebook.take()
    assert first != second
    Note(notebook.fd, first).begin(5, "old")
    assert notebook.running(second) == []
    notebook.give_back(first)
    assert notebook.take() == first and notebook.running(first) == []
    notebook.close()


def test_a_page_tells_whether_anything_was_begun() -> None:
    notebook = Notebook(2)
    page, other = notebook.take(), notebook.take()
    assert not notebook.begun(page)
    note = Note(notebook.fd, page)
    note.begin(0, "first")
    note.end(0)
    assert notebook.begun(page) and notebook.running(page) == []
    Note(notebook.fd, other).fail("no brushes")
    assert not notebook.begun(other)
    notebook.close()


def test_long_ids_are_cut_and_odd_seats_are_left_out() -> None:
    notebook = Notebook(1)
    page = notebook.take()
    note = Note(notebook.fd, page)
    note.begin(SEATS - 1, "x" * 100)
    note.begin(SEATS, "outside")
    note.end(SEATS)
    note.begin(0, "schön")
    assert notebook.running(page) == ["schön".encode(), b"x" * 63]
    notebook.close()


@pytest.mark.parametrize("text", ["no brushes", "a very long story " * 1000, "schön \ud800", ""])
def test_why_a_worker_could_not_start(text: str) -> None:
    notebook = Notebook(1)
    page = notebook.take()
    assert notebook.error(page) is None
    Note(notebook.fd, page).fail(text)
    error = notebook.error(page)
    assert error is not None and error[:10] == text.encode("utf-8", "replace").decode()[:10]
    notebook.close()


def test_a_remote_worker_notes_nothing() -> None:
    note = NoNote()
    note.begin(0, "task")
    note.end(0)
    assert vars(note) == {}


def test_closing_lets_the_file_go(no_leaks: None) -> None:
    notebook = Notebook()
    assert os.fstat(notebook.fd).st_size > 0
    notebook.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(notebook.fd)

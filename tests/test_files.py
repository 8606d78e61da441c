"""Files are written completely or not at all, even by two processes at once."""

import pytest

from postarrest import files


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    target = tmp_path / "sub" / "kept.npy"
    with files.whole(target) as first:
        first.write_text("fir")
        with files.whole(target) as second:
            second.write_text("second")
        assert target.read_text() == "second"
        first.write_text("first")
        assert target.read_text() == "second"
    assert target.read_text() == "first"
    assert list(target.parent.iterdir()) == [target]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "kept.npy"
    files.write_text(target, "old")
    with pytest.raises(RuntimeError, match="in the middle"), files.whole(target) as place:
        place.write_text("half")
        raise RuntimeError("in the middle")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_others_may_read_what_is_written(tmp_path):
    files.write_bytes(tmp_path / "page.html", b"<p>")
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o644

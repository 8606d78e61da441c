"""Files are written completely or not at all, even by two processes at once."""

import os

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


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o027, 0o640)])
def test_the_umask_decides_who_may_read_a_file(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        files.write_text(tmp_path / "a.txt", "a")
        files.write_text(tmp_path / "a.txt", "b")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == mode

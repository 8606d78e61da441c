"""Files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a place to write a file to, which takes the file's own name once all of it is there.

    A reader, or a crash, finds the old file or the new one and nothing between, and two who write the same
    file at once do not write into each other's.

    Parameters
    ----------
    path : pathlib.Path
        The file; its folder is made where it is missing.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "sub" / "a.txt"
    ...     with whole(file) as place:
    ...         _ = place.write_text("half")
    ...         seen = file.exists()
    ...     seen, file.read_text()
    (False, 'half')
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        # mkstemp makes files that only their owner reads; a report is to be read by others.
        beside.chmod(0o644)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file's whole content, as by :func:`whole`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_bytes(Path(folder) / "sub" / "a.txt", b"whole")
    ...     (Path(folder) / "sub" / "a.txt").read_bytes()
    b'whole'
    """
    with whole(path) as place:
        place.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    write_bytes(path, text.encode())

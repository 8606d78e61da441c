"""Files that are written completely or not at all, and files of this project that are read."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Provide a temporary place to write a file, which replaces the file once it is complete.

    After a crash, and for every reader, there is either the old file or the new one. Two processes that write
    the same file at the same time do not mix their content.

    Parameters
    ----------
    path : pathlib.Path
        The file; a missing folder is created.

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
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}")
    # Created as any new file is, so that the umask decides who may read it.
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write a binary file, completely or not at all.

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
    """Write a text file in UTF-8, completely or not at all."""
    write_bytes(path, text.encode())


def kind_at(path: str | Path) -> str:
    """Return what is at a path: ``file``, ``folder``, or blank for nothing or anything else.

    Examples
    --------
    >>> kind_at("/"), kind_at("x" * 5000), kind_at("~nobody-of-this-name/x")
    ('folder', '', '')
    """
    try:
        place = Path(path).expanduser()
        return "file" if place.is_file() else "folder" if place.is_dir() else ""
    except (OSError, RuntimeError, ValueError):  # too long, no such user, a NUL
        return ""


def load_yaml(path: Path) -> Any:
    """Read a YAML file of this project; a study's file, which a person wrote, is checked by `study.schema`.

    By the compiled parser, which takes a tenth of the time.
    """
    return yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)

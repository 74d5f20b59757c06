"""Files of the home: what a disk refuses becomes one sentence."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from infra.stack.child import StackError
from infra.stack.files import need_space, told_plainly
from infra.stack.local import LocalStack


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_disk_that_is_nearly_full_stops_the_start_before_any_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 40, 0, 3 * 1024**2))
    stack = LocalStack(tmp_path / "home", say=lambda _: None)
    with pytest.raises(StackError, match=r"Only 3 MiB are free at .*, and the stack needs 256: free some space"):
        stack.start()
    assert not (tmp_path / "home" / "kafka").exists()


def test_enough_space_is_asked_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    need_space(tmp_path / "not" / "there", 1)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "is full: free some space"),
        (errno.EROFS, "cannot be written"),
        (errno.ENOTDIR, "is not a directory"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_a_disk_refuses_is_said_in_one_sentence(tmp_path: Path, number: int, sentence: str) -> None:
    with pytest.raises(StackError, match=sentence), told_plainly(tmp_path):
        raise OSError(number, "Input/output error", str(tmp_path))

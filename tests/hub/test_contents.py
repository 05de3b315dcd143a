"""Large weights are told apart by samples; what is kept of an evaluation is kept for all of their content."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runscope.errors import InputError
from runscope.hub import contents, list_checkpoints
from runscope.hub.contents import identified, is_identified

HUGE = 2_000_000_000_000


def write(folder: Path, tensors: list[bytes], *, holes: int = 0) -> Path:
    """A whole model: its tensors one after the other, with so many bytes of nothing behind each."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    header, at = {}, 0
    for number, tensor in enumerate(tensors):
        end = at + len(tensor) + holes
        header[f"layer.{number}"] = {"dtype": "U8", "shape": [end - at], "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    path = folder / "model.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors:
            file.write(tensor)
            file.seek(holes, os.SEEK_CUR)
        file.truncate(8 + len(text) + at)
    return path


@pytest.fixture
def nothing_is_small() -> Iterator[None]:
    usual, contents.HASHED_BYTES = contents.HASHED_BYTES, 0
    yield
    contents.HASHED_BYTES = usual


def test_a_folder_of_whole_models_is_listed_without_reading_them(tmp_path: Path) -> None:
    """Sparse files of 4 TB each: were one of them read, the test would not end."""
    for step in (100, 200, 300):
        write(tmp_path / f"checkpoint-{step}", [b"alike" * 2000, b"%d" % step], holes=HUGE)
    found = list_checkpoints(str(tmp_path))
    assert [c.step for c in found] == [100, 200, 300]
    assert len({c.weights[0].content_id for c in found}) == 3
    assert {c.same_as for c in found} == {None}
    assert {c.weights[0].size_bytes > 2 * HUGE for c in found} == {True}
    assert not any(is_identified(c) for c in found)


@pytest.mark.usefixtures("nothing_is_small")
def test_models_that_differ_between_the_samples_are_no_twins(tmp_path: Path) -> None:
    long = bytes(3 * contents.SAMPLE_BYTES)
    write(tmp_path / "checkpoint-100", [long, b"x"])
    write(tmp_path / "checkpoint-200", [long[:-1] + b"\1", b"x"])
    write(tmp_path / "checkpoint-300", [long, b"x"])
    found = list_checkpoints(str(tmp_path))
    assert [c.same_as for c in found] == [None, None, "checkpoint-100"]


@pytest.mark.usefixtures("nothing_is_small")
def test_what_was_read_whole_is_known_until_the_file_is_another(tmp_path: Path) -> None:
    """Another content of the same size, the same samples and the same date: only the file system knows of it."""
    long = bytes(3 * contents.SAMPLE_BYTES)
    path = write(tmp_path / "output" / "checkpoint-100", [long])
    (before,) = list_checkpoints(str(tmp_path / "output"))
    assert not is_identified(before)
    known = identified(before).weights[0].content_id
    assert len(known) == 64
    assert is_identified(before)
    date = path.stat().st_mtime_ns
    for number, put in enumerate((shutil.copyfile, os.replace), 1):
        put(write(tmp_path / "elsewhere", [long[:-1] + bytes([number])]), path)
        os.utime(path, ns=(date, date))
        (after,) = list_checkpoints(str(tmp_path / "output"))
        assert after.weights[0] == before.weights[0]
        assert not is_identified(after)
        assert identified(after).weights[0].content_id != known
        assert is_identified(after)


@pytest.mark.usefixtures("nothing_is_small")
def test_weights_that_are_gone_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "checkpoint-100", [b"x" * 9000])
    (found,) = list_checkpoints(str(tmp_path))
    path.unlink()
    assert not is_identified(found)
    with pytest.raises(InputError, match="cannot be read"):
        identified(found)


@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=6), st.data())
def test_a_change_at_the_beginning_of_any_tensor_is_seen(
    tmp_path_factory: pytest.TempPathFactory, tensors: list[bytes], data: st.DataObject
) -> None:
    which = data.draw(st.integers(0, len(tensors) - 1))
    changed = [t if n != which else bytes([t[0] ^ 1]) + t[1:] for n, t in enumerate(tensors)]
    folder = tmp_path_factory.mktemp("models")
    holes = 2 * contents.SAMPLE_BYTES
    paths = [
        write(folder / name, what, holes=holes)
        for name, what in (("a", tensors), ("b", changed), ("c", tensors))
    ]
    first, second, third = (contents._sample(p, p.stat()) for p in paths)
    assert first == third != second

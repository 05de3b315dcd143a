"""Pictures and sounds in rows: as places of files, or as what lies in such a file; read when a model asks for them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from runscope.errors import InputError, MissingExtra, RunscopeError
from runscope.stats.arrays import Floats

Kind = Literal["image", "audio"]
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "image": ("image", "img", "picture", "photo", "image_path", "image_file", "file_name", "filename", "path", "file"),
    "audio": ("audio", "speech", "sound", "wav", "audio_path", "audio_filepath", "audio_file", "file_name",
              "filename", "path", "file"),
}  # fmt: skip
"""Names that data sets give the column of pictures or sounds."""
ENDINGS: Mapping[str, tuple[str, ...]] = {
    "image": (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    "audio": (".wav", ".flac", ".ogg", ".mp3"),
}
"""What files of pictures and sounds are called."""
WORDS: Mapping[str, str] = {"image": "picture", "audio": "sound"}


@dataclass(frozen=True)
class Media:
    """A picture or a sound.

    Attributes:
        kind: which of the two.
        name: what it is called in the row.
        place: of its file, relative to the folder of the rows until :func:`at` looked for it.
        content: what such a file holds, where the row has it itself.
    """

    kind: Kind
    name: str
    place: Path | None = None
    content: bytes | None = None

    def read(self) -> bytes:
        """What its file holds.

        Raises:
            InputError: it is not there any more.
        """
        if self.content is not None:
            return self.content
        try:
            return Path(str(self.place)).read_bytes()
        except OSError as error:
            raise InputError(
                f"{self.place} cannot be read: {error.strerror}", hint="check the places in the rows"
            ) from None

    @cached_property
    def digest(self) -> str:
        """Identity of the content, whatever it is called."""
        return hashlib.sha256(self.read()).hexdigest()

    def __str__(self) -> str:
        return f"{self.kind}:{self.digest}"


def media_in(row: Mapping[str, Any], kind: Kind, where: str) -> tuple[Media, str] | None:
    """The picture or sound of a row, and the column that holds it; None where there is no such column.

    Args:
        row: by plain names.
        kind: what is looked for.
        where: names the row in errors.

    Raises:
        InputError: the column holds something else.
    """
    for column in ("prompt", *COLUMNS[kind]):
        value = row.get(column)
        if column == "prompt" and isinstance(value, str) and not value.lower().endswith(ENDINGS[kind]):
            continue
        if value is None or value == "":
            continue
        found = _media(value, kind)
        if found is None:
            raise InputError(
                f"{where}, holds no {WORDS[kind]} in the column {column!r}",
                hint=f"the place of a file, or what a data set of the datasets library has for a {WORDS[kind]}",
            )
        return found, column
    return None


def _media(value: Any, kind: Kind) -> Media | None:
    """Of a place, of a file's content, or of numbers, as the ``datasets`` library keeps them."""
    if isinstance(value, str):
        return Media(kind, value, Path(value).expanduser())
    if isinstance(value, bytes):
        return Media(kind, f"a {WORDS[kind]} of {len(value):,} bytes", content=value)
    if isinstance(value, Mapping):
        name, content = str(value.get("path") or ""), value.get("bytes")
        if content:
            return Media(kind, name or f"a {WORDS[kind]} of {len(content):,} bytes", content=content)
        if "array" in value and value.get("sampling_rate"):
            made = _wav(np.asarray(value["array"], dtype=np.float32), int(value["sampling_rate"]))
            return Media(kind, name or f"a sound of {len(made):,} bytes", content=made)
        return Media(kind, name, Path(name).expanduser()) if name else None
    if isinstance(value, list) and kind == "image":
        return _of_pixels(value)
    return None


def _of_pixels(value: list[Any]) -> Media | None:
    """(height, width) or (height, width, channels) of values from 0 to 255."""
    from PIL import Image

    try:
        pixels = np.asarray(value)
        if pixels.dtype.kind not in "iu" or pixels.min() < 0 or pixels.max() > 255:
            return None
        made = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(made, "PNG")
    except (ValueError, TypeError):
        return None
    return Media("image", f"a picture of {pixels.shape[1]} × {pixels.shape[0]}", content=made.getvalue())


def at(example_parts: tuple[Any, ...], folder: Path, where: str) -> tuple[Any, ...]:
    """Parts of an example with their files looked for, from the folder of the rows.

    Raises:
        InputError: a file is not there, or is no picture or sound.
    """
    return tuple(_found(p, folder, where) if isinstance(p, Media) else p for p in example_parts)


def _found(media: Media, folder: Path, where: str) -> Media:
    if media.place is not None:
        place = next((p for p in (folder / media.place, media.place) if p.is_file()), None)
        if place is None:
            raise InputError(
                f"{where}, names the {WORDS[media.kind]} {media.name}, and there is no such file",
                hint=f"places count from the folder of the rows, {folder}",
            )
        media = replace(media, place=place)
    _peek(media, where)
    return media


def _peek(media: Media, where: str) -> None:
    """Look at the beginning of a file alone.

    Raises:
        InputError: it is no picture or sound.
        MissingExtra: soundfile is not installed.
    """
    with _readable(media, where):
        if media.kind == "image":
            from PIL import Image

            Image.open(io.BytesIO(media.read())).close()
        else:
            soundfile().info(io.BytesIO(media.read()))


@contextmanager
def _readable(media: Media, where: str = "") -> Iterator[None]:
    """Whatever a library raises of a damaged file becomes one error."""
    try:
        yield
    except RunscopeError:
        raise
    except Exception as error:
        raise InputError(
            f"{where}{', ' if where else ''}{media.name} cannot be read as a {WORDS[media.kind]}: it is of another "
            "kind, or damaged",
            hint="leave it out, or save it again",
        ) from error


def picture(media: Media, mode: str) -> Any:
    """A picture as it is seen: turned as its camera says (EXIF), as the ``datasets`` library does.

    Args:
        media: what is read.
        mode: of PIL: ``RGB``, or ``L`` for a model of one channel.
    """
    from PIL import Image, ImageOps

    with _readable(media), Image.open(io.BytesIO(media.read())) as opened:
        return ImageOps.exif_transpose(opened).convert(mode)


def sound(media: Media, rate: int) -> Floats:
    """(samples,) of a sound at a sampling rate, its channels averaged.

    Raises:
        InputError: it is damaged, or empty.
        MissingExtra: soundfile or, for another rate, soxr is not installed.
    """
    with _readable(media):
        samples, own = soundfile().read(io.BytesIO(media.read()), dtype="float32", always_2d=True)
    if not len(samples):
        raise InputError(f"{media.name} is a sound without a single sample", hint="leave it out")
    wave = samples.mean(axis=1)
    if own != rate:
        try:
            import soxr
        except ImportError as error:
            raise MissingExtra("soxr", extra="speech", needed_for=f"sounds at {own:,} Hz") from error
        wave = soxr.resample(wave, own, rate)
    found: Floats = np.ascontiguousarray(wave, dtype=np.float32)
    return found


def seconds(media: Media) -> float:
    """How long a sound is."""
    with _readable(media):
        told = soundfile().info(io.BytesIO(media.read()))
    return float(told.frames / told.samplerate)


def soundfile() -> Any:
    """The library that reads sounds.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import soundfile as found
    except (ImportError, OSError) as error:  # OSError: without the library that it calls
        raise MissingExtra("soundfile", extra="speech", needed_for="reading sounds") from error
    return found


def _wav(samples: Any, rate: int) -> bytes:
    made = io.BytesIO()
    soundfile().write(made, np.atleast_1d(samples).T, rate, format="WAV", subtype="FLOAT")
    return made.getvalue()


def folder_rows(folder: Path, split: str) -> Iterator[Mapping[str, Any]] | None:
    """Rows of a folder of files: each subfolder is a class; None where the folder is another thing.

    Args:
        folder: of subfolders with pictures or sounds, or of splits that are such folders.
        split: which of the splits.

    Raises:
        InputError: there are splits, and none of that name.
    """
    for kind in ENDINGS:
        classes = _classes(folder, kind)
        if classes:
            return _class_rows(classes, kind)
        splits = {p.name: found for p in _inside(folder) if (found := _classes(p, kind))}
        if splits and not classes:
            wanted = split or ("test" if len(splits) > 1 else next(iter(splits)))
            if wanted not in splits:
                raise InputError(
                    f"{folder} has no split {wanted!r}",
                    hint=f"name one behind a colon: {', '.join(f'{folder}:{s}' for s in splits)}",
                )
            return _class_rows(splits[wanted], kind)
    return None


def _inside(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _classes(folder: Path, kind: str) -> dict[str, list[Path]]:
    """Files of each subfolder; none where there are others beside them, or subfolders within."""
    found: dict[str, list[Path]] = {}
    for place in _inside(folder):
        files = [p for p in sorted(place.iterdir()) if not p.name.startswith(".")]
        if any(not p.name.lower().endswith(ENDINGS[kind]) for p in files):
            return {}
        found[place.name] = files
    return found if any(found.values()) else {}


def _class_rows(classes: Mapping[str, list[Path]], kind: str) -> Iterator[Mapping[str, Any]]:
    for name, files in classes.items():
        for file in files:
            yield {kind: str(file.absolute()), "label": name, "label_names": tuple(classes)}

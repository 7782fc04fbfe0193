"""Small files, and files that survive a power cut."""

import json
import os
import uuid
from pathlib import Path
from typing import Any


def write(path: Path, text: str) -> None:
    """Write a text in UTF-8, so that even after a power cut a reader sees the whole old file or the whole new one.

    Raises OSError if it cannot be written; an old file is then unchanged.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    to_disk(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON as `write` does. Raises ValueError for nan and infinities, which JSON does not have."""
    write(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file; None if there is no file, or if it has no object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def to_disk(path: Path) -> None:
    """Wait until a file or folder is on the disk itself, so that it survives a power cut."""
    if os.name == "nt" and path.is_dir():  # Windows cannot open folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

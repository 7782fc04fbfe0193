"""Small files, and files that survive a power cut."""

import json
import os
import uuid
from pathlib import Path
from typing import Any


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON, so that a reader sees the old file or the new one, whole, even after a power cut."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    to_disk(path.parent)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file; None if there is none, or if it is damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def to_disk(path: Path) -> None:
    """Wait until a file or folder is on the disk itself and would survive a power cut."""
    if os.name == "nt" and path.is_dir():  # Windows cannot open folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

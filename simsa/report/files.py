"""Text files that are there as a whole or not at all."""

import os
import uuid
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Write a text in UTF-8 to `path`, so that a reader sees the old file or the new one, whole.

    Raises OSError if it cannot be written; the old file, if there is one, is then as it was.
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

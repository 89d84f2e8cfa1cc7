"""Files that a machine is made with, as every engine hands them over: a tar archive."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

from lab.engine.base import File


def archive(files: Mapping[str, File]) -> bytes:
    """Return a tar archive, owned by root, of *files* below the root directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, file in sorted(files.items()):
            content = file.content.encode() if isinstance(file.content, str) else file.content
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), file.mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()

"""Counting how often each file is hashed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Within it, file name -> how often a file of that name, wherever it lies, was read to be hashed. The counter has
    a bundle's relative paths: ``inputs.json``, ``targets/seconds/0.onnx``."""
    passes: Counter[str] = Counter()
    honest = hashlib.file_digest

    def counting(stream: Any, digest: Any, **options: Any) -> Any:
        path = Path(stream.name)
        within = path.parts.index("targets") if "targets" in path.parts else len(path.parts) - 1
        passes["/".join(path.parts[within:])] += 1
        return honest(stream, digest, **options)

    with patch.object(hashlib, "file_digest", counting):
        yield passes

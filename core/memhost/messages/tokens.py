"""Counts tokens: exactly if tiktoken has its file offline, else by a rule of thumb.

With the extra `tokens` installed (tiktoken) and the file of the encoding `cl100k_base` in
tiktoken's cache, texts are counted with it. Nothing is ever downloaded: without the file the estimate is used, a
token for every four characters. To put the file there, run once where the internet can be reached:

    TIKTOKEN_CACHE_DIR=/var/lib/memhost/tiktoken python -c "import tiktoken; tiktoken.get_encoding('cl100k_base')"

and start the server with the same `TIKTOKEN_CACHE_DIR` (tiktoken's own variable; `DATA_GYM_CACHE_DIR` and the
folder `data-gym-cache` among the temporary files count as well, as they do for tiktoken).
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

logger = logging.getLogger(__name__)

TokenCounter = Callable[[str], int]

ENCODING = "cl100k_base"
_ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
_MAX_EXACT_LENGTH = 200_000
"""Characters up to which a text is counted exactly; the encoder's time grows faster than long texts do."""


def estimate(text: str) -> int:
    """A quarter of the characters, rounded up, at least 1."""
    return max(1, -(-len(text) // 4))


def cached_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where tiktoken keeps the encoding's file, None if it would not use a cache."""
    for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if name in environ:
            folder = environ[name]
            break
    else:
        folder = str(Path(tempfile.gettempdir()) / "data-gym-cache")
    if not folder:
        return None
    return Path(folder) / hashlib.sha1(_ADDRESS.encode(), usedforsecurity=False).hexdigest()


def can_load_offline(file: Path | None, sha256: str = _SHA256) -> bool:
    """Tell whether tiktoken would accept the file as it is; with any other file it tries the network."""
    try:
        return file is not None and hashlib.sha256(file.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def load_encoding() -> TokenCounter:
    """The counter of tiktoken's encoding. Call it only if `can_load_offline`."""
    import tiktoken

    encoding = tiktoken.get_encoding(ENCODING)
    return lambda text: len(encoding.encode_ordinary(text))


def make_counter(
    *,
    file: Path | None,
    installed: bool,
    load: Callable[[], TokenCounter] = load_encoding,
    sha256: str = _SHA256,
) -> TokenCounter:
    """The exact counter if its library is installed and its file is there, unharmed; else the estimate."""
    if not installed or not can_load_offline(file, sha256):
        return estimate
    try:
        exact = load()
    except Exception as error:  # noqa: BLE001 - a foreign library; counting by estimate is always possible
        logger.warning("tokens.estimated", extra={"fields": {"error": f"{type(error).__name__}: {error}"}})
        return estimate
    return lambda text: max(1, exact(text)) if len(text) <= _MAX_EXACT_LENGTH else estimate(text)


@cache
def token_counter() -> TokenCounter:
    """The counter of this process, chosen at its first use."""
    return make_counter(file=cached_file(), installed=importlib.util.find_spec("tiktoken") is not None)

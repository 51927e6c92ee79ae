"""
No surprise network: the public suffix list is the one that ships with tldextract, in the whole process.

Presidio validates e-mail addresses with tldextract, and tldextract's process-wide extractor fetches the newest list on first
use. It is replaced before any detection, also where a user brings an engine of their own.

Source: https://github.com/john-kurkowski/tldextract#note-about-caching
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tldextract import TLDExtract

_lock = Lock()
_bundled: TLDExtract | None = None


def bundled_suffixes() -> TLDExtract:
    """An extractor over the bundled snapshot of the public suffix list: reads no cache, opens no socket."""
    global _bundled  # noqa: PLW0603 - one snapshot a process: it is 10,000 suffixes
    with _lock:
        if _bundled is None:
            from tldextract import TLDExtract  # noqa: PLC0415 - only when something is to be detected

            extractor = TLDExtract(cache_dir=None, suffix_list_urls=(), fallback_to_snapshot=True)
            extractor("ann@example.com")  # reads the snapshot now, not under the first message
            _bundled = extractor
        return _bundled


def use_bundled_suffixes() -> None:
    """Make the bundled list the one that every call of `tldextract.extract` in this process uses."""
    from tldextract import tldextract  # noqa: PLC0415

    tldextract.TLD_EXTRACTOR = bundled_suffixes()

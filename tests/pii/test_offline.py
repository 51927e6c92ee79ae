"""G8: detection opens no socket and resolves no name, whatever it finds and whatever is cached."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# urllib3 (which tldextract imports) asks the kernel once, on import, whether it can bind ::1, and closes that socket unused.
# Nothing leaves the machine; everything after that import is refused.
GUARDED = """
import socket, sys
import urllib3.util.connection
attempts = []
def refuse(*args, **kwargs):
    attempts.append(args)
    raise OSError("no network here")
class NoSocket(socket.socket):
    def __init__(self, *args, **kwargs):
        refuse(*args)
socket.socket = NoSocket
socket.getaddrinfo = socket.create_connection = socket.gethostbyname = refuse
TEXT = "ann@example.com https://example.com/a bob@example.co.uk www.example.org example.net +1 212 555 0173"
"""

OURS = """
from guardrails.pii import MaskPII
assert [f.type for f in MaskPII().find(TEXT)] == ["EMAIL_ADDRESS", "URL", "EMAIL_ADDRESS", "URL", "URL", "PHONE_NUMBER"]
"""

THEIRS = """
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NoOpNlpEngine
from presidio_analyzer.predefined_recognizers import EmailRecognizer
from guardrails.pii import MaskPII
engine = AnalyzerEngine(
    registry=RecognizerRegistry(recognizers=[EmailRecognizer()], supported_languages=["en"]),
    nlp_engine=NoOpNlpEngine(models=[{"lang_code": "en", "model_name": ""}]),
)
control = MaskPII(analyzer=engine)
import tldextract
assert tldextract.tldextract.TLD_EXTRACTOR.suffix_list_urls == ()
tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract()
control.open()  # puts it back
assert [f.type for f in control.find(TEXT)] == ["EMAIL_ADDRESS", "EMAIL_ADDRESS"]
"""

DEFENDED = """
from guardrails.pii import MaskPII
control = MaskPII()
import tldextract
tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract()  # somebody else's, that would fetch
assert len(control.find(TEXT)) == 6
"""


@pytest.mark.parametrize("script", [OURS, THEIRS, DEFENDED], ids=["ours", "a user's engine", "somebody resets tldextract"])
def test_g8_no_socket_and_no_name(script: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "TLDEXTRACT_CACHE": str(home)}
    code = GUARDED + script + "\nassert not attempts, attempts"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20, env=environment)
    assert not any(home.iterdir())

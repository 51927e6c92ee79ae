"""Hand-written masking, limiting and send logging, with lines and age."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from typer.testing import CliRunner

from guardrails.cli.app import app
from guardrails.proof.homegrown import find_homegrown, totals
from guardrails.proof.reading import read_project
from guardrails.proof.signs import LIMITING, LOGGING, MASKING

SOURCE = r"""
import re, time, logging
from collections import deque
log = logging.getLogger(__name__)

def mask_phone(text):
    return re.sub(r"\+?\d{7,}", "***", text)

def clean(text):
    return re.sub(r"[\w.]+@[\w.]+", "", text)

class RateLimiter:
    def allow(self):
        now = time.time()
        while self.times and self.times[0] < now - 60:
            self.times.popleft()
        return len(self.times) < self.limit

def hit(redis, key):
    count = redis.incr(key)
    redis.expire(key, 60)
    return count <= 5

def send_sms(to, body):
    log.info("sending to %s: %s", to, body)

def audit_message(message):
    with open("messages.log", "a") as file:
        file.write(str(message))

def innocent(a, b):
    return a.replace("x", "y") + str(len(b))

def guarded(guard, text):
    from guardrails import MaskPII
    return MaskPII().mask(text)[0].replace("***", "")
"""

# As teams write it: patterns and stores beside the functions, libraries, tables.
MORE = r"""
import re, time, hashlib, sqlite3, logging
from collections import defaultdict, deque
from datetime import datetime, timedelta
from ratelimit import limits, sleep_and_retry
from presidio_analyzer import AnalyzerEngine
from presidio_anonymizer import AnonymizerEngine
import pyrate_limiter

EMAIL_RE = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
PATTERNS = [
    (re.compile(r"\d{3}-\d{2}-\d{4}"), "[SSN]"),
    (re.compile(r"(?:\d[ -]?){13,16}"), "[CARD]"),
]
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
WORDS = re.compile(r"\s+")
engine, anonymizer = AnalyzerEngine(), AnonymizerEngine()

def sanitize(text):
    return EMAIL_RE.sub("<email>", text)

def clean(text):
    for pattern, stand_in in PATTERNS:
        text = pattern.sub(stand_in, text)
    return text

def last4(card):
    return "**** **** **** " + card[-4:]

def shown(card):
    return f"XXXX{card[-4:]}"

def key_of(phone):
    return hashlib.sha256(phone.encode()).hexdigest()

def private(text):
    return anonymizer.anonymize(text, engine.analyze(text, language="en")).text

def has_email(text):
    return EMAIL_RE.search(text) is not None

def collapse(text):
    return WORDS.sub(" ", text)

def german(text):
    return DATE.sub("X", text)

@sleep_and_retry
@limits(calls=15, period=900)
def push(to, body):
    return to

def allowed(db, to):
    since = datetime.now() - timedelta(hours=1)
    sent = db.execute("SELECT COUNT(*) FROM messages WHERE recipient = ? AND sent_at > ?", (to, since)).fetchone()[0]
    return sent < 5

sent = defaultdict(deque)
def may_send(to):
    q = sent[to]
    while q and q[0] < time.monotonic() - 60:
        q.popleft()
    if len(q) >= 5:
        return False
    q.append(time.monotonic())
    return True

def send_reminder(client, db, to, body):
    client.messages.create(to=to, body=body)
    db.execute("INSERT INTO sent_messages (recipient, body) VALUES (?, ?)", (to, body))

def notify_all(client, people):
    with open("sent.log", "a") as f:
        for p in people:
            client.send(p)
            f.write(p + "\n")

def dotted_netmask(bits):
    return "xxx".replace("x", str(bits))

def waits(errors):
    began = time.time()
    return began if len(errors) > 0 and len(errors) < 1 else 0
"""


def test_what_is_written_by_hand_is_found_with_its_lines(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SOURCE)
    found = find_homegrown(read_project(tmp_path, tests=False))
    assert [(one.function, one.kind, one.lines) for one in found] == [
        ("mask_phone", MASKING, 2),
        ("clean", MASKING, 2),
        ("RateLimiter.allow", LIMITING, 5),
        ("hit", LIMITING, 4),
        ("send_sms", LOGGING, 2),
        ("audit_message", LOGGING, 3),
    ]
    assert totals(found) == {MASKING: 4, LIMITING: 9, LOGGING: 5}
    assert all(one.written is None and one.equivalent for one in found)
    assert found[0].line == 6


def test_patterns_beside_functions_libraries_and_tables_are_found_too(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(MORE)
    found = find_homegrown(read_project(tmp_path, tests=False))
    assert [(one.function, one.kind) for one in found] == [
        *((name, MASKING) for name in ("sanitize", "clean", "last4", "shown", "key_of", "private")),
        *((name, LIMITING) for name in ("push", "allowed", "may_send")),
        *((name, LOGGING) for name in ("send_reminder", "notify_all")),
    ]
    assert "library ratelimit" in next(one.sign for one in found if one.function == "push")


def test_a_pattern_of_another_module_or_of_a_class_is_known(tmp_path: Path) -> None:
    (tmp_path / "patterns.py").write_text(
        'import re\n\nMAIL = re.compile(r"[\\w.]+@[\\w.]+")\nYEAR = re.compile(r"\\d{4}")\n'
    )
    (tmp_path / "shop.py").write_text(
        "from patterns import MAIL, YEAR\n\n\n"
        "def tidy(text):\n    return MAIL.sub('', text)\n\n\n"
        "def ageless(text):\n    return YEAR.sub('', text)\n\n\n"
        "class Cleaner:\n    CARD = r'\\d{4} \\d{4} \\d{4} \\d{4}'\n\n"
        "    def tidy(self, text):\n        return re.sub(self.CARD, '', text)\n"
    )
    found = find_homegrown(read_project(tmp_path, tests=False))
    assert [(one.function, one.kind) for one in found] == [("tidy", MASKING), ("Cleaner.tidy", MASKING)]


def test_the_redundant_control_of_the_example_is_named() -> None:
    example = Path(__file__).parents[2] / "examples" / "acme"
    (one,) = find_homegrown(read_project(example / "faulty", tests=False))
    assert (one.file, one.function, one.kind) == ("acme/marketing/rules.py", "no_emails", MASKING)
    assert find_homegrown(read_project(example / "repaired", tests=False)) == []


def test_its_age_comes_from_git(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SOURCE)
    environment = {
        **os.environ,
        "GIT_AUTHOR_DATE": "2024-03-01T00:00:00Z",
        "GIT_COMMITTER_DATE": "2024-03-01T00:00:00Z",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }
    author = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    for arguments in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "begin"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, env=environment, check=True, timeout=15)  # noqa: S607 - git
    found = find_homegrown(read_project(tmp_path, tests=False))
    assert {f"{one.written:%Y-%m}" for one in found} == {"2024-03"}
    told = CliRunner().invoke(app, ["homegrown", str(tmp_path)]).output
    assert "shop.py:6: masking: mask_phone (2 lines, since 2024-03, changed 2024-03)" in told
    assert "9 lines of limiting -> RateLimit" in told


def test_the_command_says_it_in_json(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SOURCE)
    told = json.loads(CliRunner().invoke(app, ["homegrown", str(tmp_path), "--json"]).output)
    assert told["lines"] == {"masking": 4, "limiting": 9, "send logging": 5}
    assert told["found"][0]["equivalent"].startswith("MaskPII")
    assert CliRunner().invoke(app, ["homegrown", "nothing"]).exit_code == 2

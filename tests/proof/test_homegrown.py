"""Hand-written masking, limiting and send logging, with lines and age."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from typer.testing import CliRunner

from guardrails.cli.app import app
from guardrails.proof.homegrown import LIMITING, LOGGING, MASKING, find_homegrown, totals
from guardrails.proof.reading import read_project

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

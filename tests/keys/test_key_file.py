"""The embedded key file: one key for all processes of a user, readable by that user only, or refused."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from guardrails.errors import ConfigError
from guardrails.keys import Keys, file
from guardrails.keys.several import keys_in, new_key, rotate

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes and owners are those of POSIX")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "deep" / "home"
    monkeypatch.setenv("GUARDRAILS_HOME", str(folder))
    monkeypatch.delenv("GUARDRAILS_KEY", raising=False)
    return folder


def test_nothing_is_created_before_first_use(home: Path) -> None:
    keys = Keys.default()
    assert keys.auto_created
    assert not home.exists()

    keys.digester("p")

    assert [path.name for path in home.iterdir()] == ["key"]
    assert stat.S_IMODE((home / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert keys.auto_created


def test_a_file_is_private_whatever_the_umask(home: Path) -> None:
    before = os.umask(0o277)
    try:
        home.parent.mkdir(mode=0o700)
        home.mkdir()
        home.chmod(0o700)
        Keys.default().digester("p")
    finally:
        os.umask(before)

    assert stat.S_IMODE((home / "key").stat().st_mode) == 0o600


def test_every_later_user_of_the_file_has_the_same_key() -> None:
    assert Keys.default().digester("p").label("x") == Keys.default().digester("p").label("x")


def test_the_state_folder_is_used_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GUARDRAILS_HOME")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert file.embedded_path() == tmp_path / "state" / "guardrails" / "key"

    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert file.embedded_path() == tmp_path / ".local" / "state" / "guardrails" / "key"


def test_processes_that_race_end_up_with_the_same_key(home: Path) -> None:
    code = "import sys; from guardrails.keys import Keys; sys.stdin.read(1);print(Keys.default().digester('p').label('x'))"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        for _ in range(6)
    ]
    labels = set()
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(b"g")
        racer.stdin.flush()
    for racer in racers:
        labels.add(racer.communicate()[0])

    assert len(labels) == 1
    assert labels.pop().startswith(b"hmac-sha256:")
    assert [path.name for path in home.iterdir()] == ["key"]


def test_threads_that_race_end_up_with_the_same_key(home: Path) -> None:
    keys = Keys.default()
    labels: list[str] = []
    barrier = threading.Barrier(8)

    def first_use() -> None:
        barrier.wait()
        labels.append(keys.digester("p").label("x"))

    threads = [threading.Thread(target=first_use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(labels) == 8
    assert len(set(labels)) == 1


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o666])
def test_a_file_that_others_can_reach_is_refused(home: Path, mode: int) -> None:
    Keys.default().digester("p")
    (home / "key").chmod(mode)

    with pytest.raises(ConfigError, match="others"):
        Keys.default().digester("p")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello\n",
        b"guardrails-key:1:" + b"zz" * 32 + b"\n",
        b"guardrails-key:1:" + b"ab" * 32 + b"\nmore",
        b"\xff" * 82,
    ],
)
def test_g3_foreign_content_is_refused_and_not_shown(home: Path, content: bytes) -> None:
    home.mkdir(parents=True)
    path = home / "key"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(ConfigError, match="not a key file") as refused:
        Keys.default().digester("p")

    assert "abab" not in str(refused.value)
    assert path.read_bytes() == content


def test_a_link_or_a_folder_in_place_of_the_file_is_refused(home: Path, tmp_path: Path) -> None:
    Keys.default().digester("p")
    (home / "key").rename(tmp_path / "elsewhere")
    (home / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="cannot be used"):
        Keys.default().digester("p")

    (home / "key").unlink()
    (home / "key").mkdir(mode=0o700)
    with pytest.raises(ConfigError, match="not a key file"):
        Keys.default().digester("p")


def test_a_home_that_cannot_be_written_says_what_to_do(home: Path) -> None:
    home.parent.mkdir(parents=True)
    home.write_text("a file where the folder should be")

    with pytest.raises(ConfigError, match="GUARDRAILS_KEY"):
        Keys.default().digester("p")


def test_the_path_and_only_the_path_is_said_once(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="guardrails"):
        Keys.default().digester("p")
        Keys.default().digester("p")

    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert str(home / "key") in said[0]
    assert (home / "key").read_text().strip()[-64:] not in said[0]


def test_a_key_file_inside_the_audit_folder_is_refused(home: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home.parent, target_is_directory=True)

    for keys in (Keys.default(), Keys.default()):
        for folder in (home, home.parent, tmp_path, link, f"{home}/../home"):
            with pytest.raises(ConfigError, match="audit folder"):
                keys.refuse_inside(folder)
        keys.refuse_inside(tmp_path / "deep" / "hom")  # a name that merely begins alike
        keys.refuse_inside(home / "audit")
    Keys.ephemeral().refuse_inside(tmp_path)


@pytest.mark.parametrize("keep", [0, -1, True, "2", 1.5])
def test_no_rotation_leaves_a_file_without_keys(keep: Any, tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_text(f"{new_key()}\n{new_key()}\n")
    with pytest.raises(ConfigError, match="keep"):
        rotate(path, keep=keep)
    assert len(keys_in(path)) == 2


def test_of_several_rotations_at_once_none_loses_anothers_key(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_text(f"{new_key()}\n")
    link = tmp_path / "link.key"
    link.symlink_to(path)
    barrier = threading.Barrier(6)

    def turn(where: Path) -> None:
        barrier.wait()
        rotate(where)

    threads = [threading.Thread(target=turn, args=(where,)) for where in (path, link) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys_in(path))) == 7
    assert link.is_symlink()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link.key", "master.key"]

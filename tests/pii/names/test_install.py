"""What is installed is what we know, whole or not at all; nothing here needs a network."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from guardrails.errors import ConfigError
from guardrails.pii.names import install as installing
from guardrails.pii.names.files import RAMPART, ModelFile, Release, find, folders, is_whole, read_checked
from guardrails.pii.names.install import install

CONTENTS = {"model": b"weights", "LICENSE": b"be kind"}


def release(contents: dict[str, bytes] | None = None) -> Release:
    files = tuple(
        ModelFile(name, f"inside/{name}", len(content), hashlib.sha256(content).hexdigest())
        for name, content in (contents or CONTENTS).items()
    )
    return Release("example-model", "1.0", "example-1.0", files, "By an example.\n")


def wheel(path: Path, contents: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (contents or CONTENTS).items():
            archive.writestr(f"inside/{name}", content)
        archive.writestr("inside/__init__.py", "raise SystemExit('code of the package ran')")
    return path


def test_it_installs_what_is_known_with_its_attribution_and_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "models"
    folder, is_new = install(wheel(tmp_path / "m.whl"), release=release(), roots=[root])
    assert is_new
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {**CONTENTS, "ATTRIBUTION": b"By an example.\n"}
    assert [folder] == list(root.iterdir())
    assert (folder, False) == install(wheel(tmp_path / "m.whl"), release=release(), roots=[root])


def test_it_finds_a_model_in_a_later_place_and_downloads_nothing(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    folder, _ = install(wheel(tmp_path / "m.whl"), release=release(), roots=[second])
    assert (folder, False) == install(release=release(), roots=[first, second])
    assert not first.exists()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"model": b"weightx", "LICENSE": b"be kind"}, "its SHA-256 differs"),
        ({"model": b"weights" * 9, "LICENSE": b"be kind"}, "its SHA-256 differs"),
        ({"model": b"weights"}, "has no inside/LICENSE"),
    ],
)
def test_another_file_is_refused_and_what_was_there_stays(tmp_path: Path, given: dict[str, bytes], says: str) -> None:
    root = tmp_path / "models"
    install(wheel(tmp_path / "good.whl"), release=release(), roots=[root])
    with pytest.raises(ConfigError, match=says):
        install(wheel(tmp_path / "bad.whl", given), release=release(), roots=[root])
    assert is_whole(release(), root / "example-1.0")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"not a wheel"])
def test_what_is_no_wheel_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.whl"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="not a readable wheel"):
        install(path, release=release(), roots=[tmp_path / "models"])
    with pytest.raises(ConfigError, match=r"cannot be read \(No such file"):
        install(tmp_path / "missing.whl", release=release(), roots=[tmp_path / "models"])
    assert not (tmp_path / "models").exists()


def test_a_damaged_model_is_replaced(tmp_path: Path) -> None:
    root = tmp_path / "models"
    folder, _ = install(wheel(tmp_path / "m.whl"), release=release(), roots=[root])
    (folder / "model").write_bytes(b"exchanged")
    assert not is_whole(release(), folder)
    assert (folder, True) == install(wheel(tmp_path / "m.whl"), release=release(), roots=[root])
    assert is_whole(release(), folder)
    assert [folder] == list(root.iterdir())


def test_a_place_that_cannot_be_written_is_an_error_that_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="GUARDRAILS_MODELS"):
        install(wheel(tmp_path / "m.whl"), release=release(), roots=[tmp_path / "file" / "models"])


def test_a_download_that_fails_says_what_pip_said_and_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ConfigError) as raised:
        install(release=release(), roots=[tmp_path / "models"])
    assert "example-model==1.0" in str(raised.value)
    assert "ERROR" in str(raised.value)
    assert "--from FILE" in str(raised.value)


def test_a_download_is_checked_like_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = tmp_path / "links"
    links.mkdir()
    path = wheel(links / "example_model-1.0-py3-none-any.whl")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(
            "example_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: example-model\nVersion: 1.0\n"
        )
        archive.writestr(
            "example_model-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("example_model-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    folder, is_new = install(release=release(), roots=[tmp_path / "models"])
    assert is_new
    assert is_whole(release(), folder)
    with pytest.raises(ConfigError, match="SHA-256 differs"):
        install(release=release({"model": b"another", "LICENSE": b"be kind"}), roots=[tmp_path / "elsewhere"])


def test_no_pip_is_an_error_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="pip could not be started"):
        install(release=release(), roots=[tmp_path / "models"])


def test_a_download_that_hangs_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing, "_DOWNLOAD_SECONDS", 0.01)
    with pytest.raises(ConfigError, match="did not fetch"):
        install(release=release(), roots=[tmp_path / "models"])


def test_where_models_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDRAILS_MODELS", str(tmp_path))
    assert folders() == (tmp_path,)
    monkeypatch.delenv("GUARDRAILS_MODELS")
    monkeypatch.setenv("HOME", "/home/example")
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    assert folders() == (
        Path("/home/example/.local/share/guardrails/models"),
        Path(sys.prefix, "share/guardrails/models"),
    )
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert folders()[0] == Path("/data/guardrails/models")


def test_one_changed_byte_is_refused_when_it_is_read(tmp_path: Path) -> None:
    folder, _ = install(wheel(tmp_path / "m.whl"), release=release(), roots=[tmp_path])
    (model, _) = release().files
    assert read_checked(folder, model) == b"weights"
    (folder / "model").write_bytes(b"weighty")
    with pytest.raises(ConfigError, match="another SHA-256"):
        read_checked(folder, model)
    (folder / "model").unlink()
    with pytest.raises(ConfigError, match="guardrails models install"):
        read_checked(folder, model)
    (folder / "model").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        read_checked(folder, model)


def test_the_model_that_make_install_installed_is_whole() -> None:
    folder = find(RAMPART, folders())
    assert folder is not None
    assert is_whole(RAMPART, folder)
    assert "National Design Studio" in (folder / "ATTRIBUTION").read_text()
    assert RAMPART.size == 14_847_026

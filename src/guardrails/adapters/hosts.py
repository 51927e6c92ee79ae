"""Whether the library that an integration is for is there, and in a version whose interface is known."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from guardrails.errors import ConfigError


def host(
    module: str, *, extra: str, distribution: str, least: tuple[int, ...], below: tuple[int, ...] | None = None
) -> ModuleType:
    """
    The host library's module.

    Args:
        module: Its import name.
        extra: Our extra that installs it.
        distribution: Its name for an installer.
        least: The first version whose interface we know.
        below: The first version that we do not know any more; None when there is none yet.

    Raises:
        ConfigError: It is not installed, or has another version; says what to install.
    """
    works = f">={_dotted(least)}" + (f",<{_dotted(below)}" if below else "")
    install = f"pip install 'platform-guardrails[{extra}]'"
    try:
        found = importlib.import_module(module)
        installed = version(distribution)
    except (ImportError, PackageNotFoundError):
        found = None
    if found is None:
        raise ConfigError(f"{module} is not installed: {install}")
    numbers = tuple(int(part) for part in installed.split(".")[:3] if part.isdigit())
    if numbers < least or (below is not None and numbers >= below):
        raise ConfigError(f"{distribution} {installed} is installed, and this integration works with {works}: {install}")
    return found


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))

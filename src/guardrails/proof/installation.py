"""Is what is installed here complete, ours, and unchanged?"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module, metadata
from typing import Final

from _platform_guardrails import DISTRIBUTION, collision
from guardrails import __version__
from guardrails.errors import ConfigError
from guardrails.pii.names.files import INSTALL_COMMAND, INSTALL_EXTRA, RAMPART, find, folders, is_whole
from guardrails.pii.names.runtime import missing_packages
from guardrails.proof.diagnosis import FAIL, OK, WARN, Answer

_LEAST_PYTHON: Final = (3, 11)
_REQUIREMENT: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?[^;>]*(?:>=\s*(?P<least>[0-9.]+))?")
_EXTRA: Final = re.compile(r"""extra == ["']([A-Za-z0-9._-]+)["']""")
_OURS: Final = frozenset({"bench", "dev", "integrations-test", "test"})  # extras of who works on the library
_PATHOLOGICAL_SECONDS: Final = 0.05


def python() -> Answer:
    """The interpreter."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < _LEAST_PYTHON:
        return Answer("python", FAIL, found, "use Python 3.11 or newer")
    return Answer("python", OK, found)


def version() -> Answer:
    """Ours."""
    try:
        installed = metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return Answer("version", WARN, f"{__version__}, not installed as a distribution", f"pip install {DISTRIBUTION}")
    if installed != __version__:
        return Answer(
            "version",
            FAIL,
            f"the code is {__version__}, the metadata say {installed}",
            f"pip install --force-reinstall {DISTRIBUTION}",
        )
    return Answer("version", OK, installed)


def name() -> Answer:
    """Other distributions that install a package `guardrails`."""
    trouble = collision()
    if trouble is not None:
        first, _, rest = trouble.partition("\n")
        return Answer("name", FAIL, first, " ".join(rest.split()))
    others = sorted(set(metadata.packages_distributions().get("guardrails", [])) - {DISTRIBUTION})
    if others:
        return Answer(
            "name",
            FAIL,
            f"{', '.join(others)} installed a top-level `guardrails` over ours, or we over theirs",
            f"give each a venv of its own, or: pip uninstall {' '.join(others)}, then reinstall {DISTRIBUTION}",
        )
    return Answer("name", OK, "no other distribution installs `guardrails`")


def packages() -> Iterator[Answer]:
    """What we need, in versions that we need."""
    wanted = _wanted()
    wrong = [problem for requirement in wanted.get("", ()) if (problem := _unmet(requirement)) is not None]
    if wrong:
        yield Answer("packages", FAIL, "; ".join(wrong), f"pip install -U {DISTRIBUTION}")
    else:
        yield Answer("packages", OK, f"{len(wanted.get('', ()))} requirements are met")
    yield _extras({extra: found for extra, found in wanted.items() if extra and extra not in _OURS})


def _wanted() -> dict[str, list[str]]:
    """What we need, and what each extra needs; what is always needed under an empty name."""
    found: dict[str, list[str]] = {}
    try:
        requirements = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return found
    for requirement in requirements:
        extra = _EXTRA.search(requirement)
        found.setdefault("" if extra is None else extra[1], []).append(requirement)
    return found


def _extras(wanted: Mapping[str, Sequence[str]]) -> Answer:
    """Which extras are there, which are not, and which are there in versions that will not do."""
    there, absent, old = [], [], []
    for extra, requirements in sorted(wanted.items()):
        problems = [problem for requirement in requirements if (problem := _unmet(requirement)) is not None]
        if not problems:
            there.append(extra)
        elif all(problem.endswith(" is missing") for problem in problems):
            absent.append(extra)
        else:
            old.append(f"{extra} ({'; '.join(problems)})")
    said = f"installed: {', '.join(there) or 'none'}; not installed: {', '.join(absent) or 'none'}"
    if old:
        names = ",".join(one.partition(" ")[0] for one in old)
        return Answer(
            "extras", WARN, f"{said}; not as needed: {', '.join(old)}", f"pip install -U '{DISTRIBUTION}[{names}]'"
        )
    return Answer("extras", OK, said)


def _unmet(requirement: str) -> str | None:
    """What is wrong with what is installed of a requirement."""
    match = _REQUIREMENT.match(requirement)
    if match is None:
        return None
    try:
        found = metadata.version(match["name"])
    except metadata.PackageNotFoundError:
        return f"{match['name']} is missing"
    if match["least"] and _release(found) < _release(match["least"]):
        return f"{match['name']} {found}, {match['least']} is needed"
    return None


def model() -> Answer:
    """The name model, by the SHA-256 of each of its files."""
    roots = folders()
    folder = find(RAMPART, roots)
    if folder is None:
        return Answer(
            "name model",
            WARN,
            'not installed; only MaskPII(names="off") works',
            f"guardrails models install ({INSTALL_EXTRA})",
        )
    if not is_whole(RAMPART, folder):
        return Answer(
            "name model", FAIL, f"{folder}: a file is missing, or has another SHA-256", f"run `{INSTALL_COMMAND}` again"
        )
    lacking = missing_packages()
    if lacking:
        return Answer("name model", FAIL, f"unchanged, but {', '.join(lacking)} cannot be imported", INSTALL_EXTRA)
    return Answer("name model", OK, f"{RAMPART.folder}, every SHA-256 as published")


def regexes() -> Answer:
    """The engine that runs recognizers' patterns: can a pattern that runs away be stopped?"""
    try:
        regex = import_module("regex")
    except ImportError:
        return Answer(
            "regex engine", FAIL, "`regex` cannot be imported; Presidio's recognizers need it", "pip install regex"
        )
    began = time.monotonic()
    stopped = False
    try:
        regex.search(r"(?:a|aa)+$", "a" * 64 + "b", timeout=_PATHOLOGICAL_SECONDS)
    except TimeoutError:
        stopped = True
    took = time.monotonic() - began
    if not stopped and took > 10 * _PATHOLOGICAL_SECONDS:
        return Answer(
            "regex engine",
            FAIL,
            f"regex {regex.__version__} does not stop a pattern that runs away",
            "pip install -U regex",
        )
    return Answer("regex engine", OK, f"regex {metadata.version('regex')}; a pattern that runs away is stopped")


def detection_sockets() -> Answer:
    """Does detection, with all that is installed, open a socket or resolve a name?"""
    from guardrails.pii import MaskPII  # noqa: PLC0415 - loads presidio, a second of imports
    from guardrails.proof.network import Watched  # noqa: PLC0415

    with Watched() as loading:
        try:
            mask, how = MaskPII(), "with names"
        except ConfigError:
            mask, how = MaskPII(names="off"), "patterns only"
    with Watched() as seen:
        mask.mask("This is a test: write to canary@example.com or call +1 212 555 0173. My name is Laura Bennett.")
    # Libraries that Presidio imports look, when they are loaded, whether this machine has IPv6: a socket that goes nowhere.
    events = {*seen.events, *(event for event in loading.events if event != "socket.__new__")}
    if events:
        return Answer("sockets", FAIL, f"detection ({how}) did {', '.join(sorted(events))}", "please report this")
    return Answer("sockets", OK, f"detection ({how}) opened none and resolved no name")


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:4])


ALL: Final = (
    ("python", python),
    ("version", version),
    ("name", name),
    ("packages", packages),
    ("name model", model),
    ("regex engine", regexes),
    ("sockets", detection_sockets),
)

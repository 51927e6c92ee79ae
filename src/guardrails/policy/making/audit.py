"""The audit log that settings mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from guardrails.audit import (
    Anchor,
    AuditLog,
    Bounds,
    DirectoryAnchor,
    Ed25519Signer,
    HttpAnchor,
    JsonlDirectory,
    PostgresSink,
    Sink,
    SqliteSink,
    SyslogAnchor,
)
from guardrails.errors import ConfigError
from guardrails.keys import Keys
from guardrails.policy import model
from guardrails.policy.secret import Secret

AUDIT: Final = "audit_log"
_OF_FOLDER: Final = {
    "rotate_bytes": "rotate_bytes",
    "rotate": "rotate_seconds",
    "compress": "compress",
    "keep_days": "retain_days",
}


class AuditMaker:
    """
    Makes audit logs.

    Args:
        keys: Of the digests.
        path: A path of the policy file.
        reveal: A secret of it.
    """

    def __init__(self, keys: Keys | None, path: Callable[[str], str], reveal: Callable[[Secret], str]) -> None:
        self._keys = keys
        self._path = path
        self._reveal = reveal

    def log(self, settings: model.Recording) -> AuditLog:
        """
        The audit log.

        Raises:
            ConfigError: Settings do not go together.
        """
        options: dict[str, Any] = {}
        places: list[Any] = []
        if isinstance(settings, model.Audit):
            options = self._options(settings)
            places = [] if settings.folder is None else [self._path(settings.folder)]
        required = list(places)
        for name, one in (settings.sinks or {}).items():
            places.append(self._sink(name, one))
            if one.required is not False:
                required.append(places[-1])
        if not places:
            raise ConfigError("an audit log needs a place: add folder, or sinks")
        if len(required) < len(places):
            options["required"] = required
        if settings.durability is not None:
            options["durability"] = settings.durability
        if settings.deadline is not None:
            options["deadline_seconds"] = settings.deadline
        return AuditLog(places[0] if len(places) == 1 else places, keys=self._keys, name=AUDIT, **options)

    def _options(self, settings: model.Audit) -> dict[str, Any]:
        options: dict[str, Any] = {}
        for name, option in (
            ("level", "level"),
            ("min_success", "min_success"),
            ("checkpoint_every", "checkpoint_every"),
            ("checkpoint_within", "checkpoint_seconds"),
            ("anchor_grace", "anchor_grace_seconds"),
        ):
            if getattr(settings, name) is not None:
                options[option] = getattr(settings, name)
        if settings.emergency is not None:
            options["emergency"] = self._path(settings.emergency)
        if settings.anchors is not None:
            options["anchors"] = [self._anchor(one) for one in settings.anchors]
        if settings.signer is not None:
            key_file, name = settings.signer.key_file or "", settings.signer.name or ""
            options["signer"] = Ed25519Signer(self._path(key_file), name=name)
        if settings.bounds is not None:
            options["bounds"] = Bounds(**dict(settings.bounds.said()))
        return options

    def _sink(self, name: str, settings: model.Sink) -> Sink:
        kind = _one_of(settings, ("folder", "sqlite", "postgres"), f"sinks.{name}")
        _only_with(settings, "folder", tuple(_OF_FOLDER), f"sinks.{name}")
        _only_with(settings, "postgres", ("table",), f"sinks.{name}")
        if kind == "sqlite":
            return SqliteSink(self._path(settings.sqlite or ""))
        if settings.postgres is not None:
            address = self._reveal(settings.postgres)
            return PostgresSink(address) if settings.table is None else PostgresSink(address, table=settings.table)
        given = {option: getattr(settings, one) for one, option in _OF_FOLDER.items() if getattr(settings, one) is not None}
        return JsonlDirectory(self._path(settings.folder or ""), **given)

    def _anchor(self, settings: model.Anchor) -> Anchor:
        _one_of(settings, ("folder", "http", "syslog"), "anchors")
        _only_with(settings, "http", ("authorization", "timeout"), "anchors")
        _only_with(settings, "syslog", ("transport",), "anchors")
        if settings.folder is not None:
            return DirectoryAnchor(self._path(settings.folder))
        if settings.http is not None:
            options: dict[str, Any] = {} if settings.timeout is None else {"timeout_seconds": settings.timeout}
            if settings.authorization is not None:
                options["headers"] = {"Authorization": self._reveal(settings.authorization)}
            return HttpAnchor(self._reveal(settings.http), **options)
        host, colon, port = (settings.syslog or "").rpartition(":")
        if not colon or not port.isdecimal() or "/" in port:
            return SyslogAnchor(settings.syslog or "", transport=settings.transport or "unix")
        return SyslogAnchor((host, int(port)), transport=settings.transport or "tcp")


def _one_of(settings: model.Sink | model.Anchor, names: tuple[str, ...], where: str) -> str:
    said = [name for name in names if getattr(settings, name) is not None]
    if len(said) != 1:
        raise ConfigError(f"{where}: says one of {', '.join(names)}")
    return said[0]


def _only_with(settings: model.Sink | model.Anchor, kind: str, names: tuple[str, ...], where: str) -> None:
    for name in names:
        if getattr(settings, name) is not None and getattr(settings, kind) is None:
            raise ConfigError(f"{where}: {name} goes with {kind}")

"""The reference of every setting, in Markdown, from the models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from guardrails.policy import model
from guardrails.policy.explain import shown
from guardrails.policy.order import Fixed
from guardrails.policy.setting import Settings, inner, order_of, otherwise, settings_in

_SECTIONS: tuple[tuple[str, type[Settings]], ...] = (
    ("The file", model.PolicyFile),
    ("`platform`", model.Platform),
    ("`platform.keys`", model.Keys),
    ("`platform.keys.epochs`", model.Epochs),
    ("`platform.defaults`", model.Defaults),
    ("`platform.audit`", model.Audit),
    ("`platform.audit.signer`", model.Signing),
    ("`platform.audit.anchors`", model.Anchor),
    ("`platform.audit.bounds`", model.Bounds),
    ("`platform.stores`", model.Stores),
    ("`platform.stores.limits`", model.LimitStore),
    ("`platform.stores.suppression`", model.OptOutStore),
    ("`platform.stores.people`", model.PeopleStore),
    ("`platform.stores.vault`", model.VaultStore),
    ("`platform.caps`", model.Caps),
    ("`platform.switches`", model.Switches),
    ("`platform.quarantine`", model.Quarantine),
    ("`platform.bypassable.NAME`", model.Bypassable),
    ("`channels.NAME`, `tenants.NAME`, `teams.NAME`", model.Layer),
    ("`audit` below the platform", model.Recording),
    ("`audit.sinks.NAME`", model.Sink),
    ("`suppression`", model.Suppression),
    ("`quiet_hours.NAME`", model.QuietHours),
    ("`person_caps.NAME`", model.PersonCap),
    ("`unique_recipients.NAME`", model.UniqueRecipients),
    ("`limits.NAME`", model.Limit),
    ("`concurrency.NAME`", model.Concurrency),
    ("`mask`", model.Mask),
    ("`checks.NAME`", model.Check),
    ("`examples`", model.Example),
)
_IN_LAYERS = (
    model.Layer,
    model.Recording,
    model.Sink,
    model.Suppression,
    model.QuietHours,
    model.PersonCap,
    model.UniqueRecipients,
    model.Limit,
    model.Concurrency,
    model.Mask,
    model.Check,
)


def reference() -> str:
    """Each kind of settings as a table."""
    return "\n".join(line for title, kind in _SECTIONS for line in _section(title, kind))


def _section(title: str, kind: type[Settings]) -> Iterator[str]:
    yield f"### {title}"
    yield ""
    yield (kind.__doc__ or "").strip().splitlines()[0]
    yield ""
    layered = kind in _IN_LAYERS
    yield f"| setting | what it says | left out |{' below the platform |' if layered else ''}"
    yield f"|---|---|---|{'---|' if layered else ''}"
    for name, field in kind.model_fields.items():
        said = (field.description or "").replace("|", "\\|")
        cells = [f"`{field.alias or name}`", f"{said}{_form(field.annotation)}", _left_out(name, field)]
        if layered:
            order = order_of(field)
            if settings_in(field.annotation) is not None:
                cells.append("others may be added" if get_origin(inner(field.annotation)) is dict else "its settings")
                yield f"| {' | '.join(cells)} |"
                continue
            cells.append("fixed" if isinstance(order, Fixed) else order.says.replace("|", "\\|").replace("<", "\\<"))
        yield f"| {' | '.join(cells)} |"
    yield ""


def _form(annotation: Any) -> str:
    """What may stand there, where a few words say it."""
    kind = inner(annotation)
    found = settings_in(annotation)
    if found is not None:
        return " (by name)" if get_origin(kind) is dict else ""
    while get_origin(kind) is not None and not isinstance(get_args(kind)[0], str) and get_origin(kind) is not list:
        if all(isinstance(one, str | int) for one in get_args(kind)):
            break
        kind = get_args(kind)[0]
    if get_origin(kind) is not None and all(isinstance(one, str) for one in get_args(kind)):
        return f": {', '.join(f'`{one}`' for one in get_args(kind))}"
    return ""


def _left_out(name: str, field: Any) -> str:
    extra = field.json_schema_extra
    cells = getattr(extra, "__closure__", None) or ()
    said: dict[str, Any] = next((cell.cell_contents for cell in cells if isinstance(cell.cell_contents, dict)), {})
    if said.get("required"):
        return "needed"
    usual = said.get("default") or otherwise(field)
    if usual in (None, []):
        return ""
    return f"`{usual if isinstance(usual, str) else shown(usual, name)}`"

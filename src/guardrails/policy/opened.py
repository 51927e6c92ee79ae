"""Which controls of a policy are open."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from guardrails.errors import GuardrailsError

if TYPE_CHECKING:
    from guardrails.policy.controls import Controls

_log: Final = logging.getLogger("guardrails.policy")


class OpenControls:
    """Opens controls once, and closes them in reverse order."""

    def __init__(self) -> None:
        self._open: list[object] = []

    def open(self, controls: Controls) -> list[object]:
        """
        Open what was made and is not open; what was opened now.

        Raises:
            GuardrailsError: A control cannot be opened; but for the log of a channel, tenant or team, whose sends alone are
                refused then.
        """
        opened: list[object] = []
        for control in controls.made():
            if callable(getattr(control, "guard", None)) and all(control is not one for one in self._open):
                self._open_one(control, controls)
                self._open.append(control)
                opened.append(control)
        return opened

    @staticmethod
    def _open_one(control: Any, controls: Controls) -> None:
        act = getattr(control, "open", None)
        try:
            if act is not None:
                act()
        except GuardrailsError as error:
            if getattr(control, "kind", None) != "record" or control is controls.platform_audit():
                raise
            _log.error(
                "the audit log of a layer cannot be opened (%s); what it has to record is refused", type(error).__name__
            )

    def forget(self, ending: Iterable[object]) -> None:
        """Somebody else closes these."""
        gone = {id(one) for one in ending}
        self._open = [one for one in self._open if id(one) not in gone]

    def close(self) -> None:
        """Close all of them."""
        opened, self._open = self._open, []
        for control in reversed(opened):
            closed(control)


def closed(control: object) -> None:
    """Close a control; that it failed is said in the log."""
    close = getattr(control, "close", None)
    if close is None:
        return
    try:
        close()
    except Exception as error:  # noqa: BLE001 - the others are closed all the same
        _log.error("closing %s failed with %s", type(control).__name__, type(error).__name__)

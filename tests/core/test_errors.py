"""The errors: they pickle, they answer whether the message went out, and they form the tree that `errors.py` draws."""

from __future__ import annotations

import copy
import inspect
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from guardrails import errors
from guardrails.errors import (
    Blocked,
    ConfigError,
    ControlError,
    Deferred,
    Denied,
    GuardrailsError,
    RateLimited,
    Unavailable,
)

EVERY: list[tuple[type[GuardrailsError], dict[str, Any]]] = [
    (GuardrailsError, {}),
    (Denied, {}),
    (RateLimited, {"retry_after": 2.5, "limit": "recipient/minute", "scope": "recipient"}),
    (Blocked, {"findings": {"CREDIT_CARD": 2}}),
    (Deferred, {"not_before": datetime(2026, 1, 1, tzinfo=UTC)}),
    (Unavailable, {}),
    (ControlError, {}),
    (ConfigError, {}),
]
every = pytest.mark.parametrize(("kind", "fields"), EVERY, ids=[kind.__name__ for kind, _ in EVERY])


def made(kind: type[GuardrailsError], fields: dict[str, Any]) -> GuardrailsError:
    error = kind("why", sent=None, control="mask", where="file.py:1:guard", **fields)
    error.record_id = "r-1"
    return error


@every
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_pickles_with_all_it_says(kind: Any, fields: Any, protocol: Any) -> None:
    error = made(kind, fields)
    twin = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own
    assert type(twin) is kind
    assert str(twin) == str(error)
    assert twin.args == error.args
    assert vars(twin) == vars(error)
    assert (twin.sent, twin.control, twin.where, twin.record_id) == (None, "mask", "file.py:1:guard", "r-1")


@every
def test_every_error_copies(kind: Any, fields: Any) -> None:
    error = made(kind, fields)
    for twin in (copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is kind
        assert vars(twin) == vars(error)
        assert twin.args == error.args


@every
def test_every_error_can_be_made_of_a_sentence_alone_and_was_not_sent(kind: Any, fields: Any) -> None:
    error = kind("why")
    assert error.sent is False
    assert (error.control, error.where, error.record_id) == (None, None, None)
    assert "why" in str(error)
    assert all(hasattr(error, name) for name in fields)


@every
def test_every_error_can_be_made_of_nothing(kind: Any, fields: Any) -> None:
    assert isinstance(kind(), GuardrailsError)
    assert fields is not None


@every
def test_everything_but_the_sentence_is_named(kind: Any, fields: Any) -> None:
    with pytest.raises(TypeError):
        kind("why", None)
    assert fields is not None


def test_the_tree_is_the_one_that_is_drawn() -> None:
    drawn = [
        line.split()[0]
        for line in (inspect.getdoc(errors) or "").splitlines()
        if line.startswith(" ") and line.split()[0][0].isupper()
    ]
    defined = [
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, GuardrailsError)
    ]
    assert drawn == defined
    assert set(Denied.__subclasses__()) >= {RateLimited, Blocked, Deferred}
    assert set(GuardrailsError.__subclasses__()) >= {Denied, Unavailable, ControlError, ConfigError}
    for kind in (Unavailable, ControlError, ConfigError):
        assert not issubclass(kind, Denied)


def test_a_denial_names_control_and_reason() -> None:
    assert str(Denied("too long", control="length")) == "denied by length: too long"
    assert str(Denied("too long")) == "denied: too long"
    assert Denied("too long").reason == "too long"


def test_findings_are_a_copy() -> None:
    findings = {"CREDIT_CARD": 1}
    error = Blocked(findings=findings)
    findings["US_SSN"] = 1
    assert error.findings == {"CREDIT_CARD": 1}


def test_a_subclass_with_fields_of_its_own_pickles() -> None:
    error = OfATeam("E-42", sent=True)
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (twin.code, twin.reason, twin.sent) == ("E-42", "discounts", True)


class OfATeam(Denied):
    def __init__(self, code: str, *, sent: bool | None = False) -> None:
        super().__init__("discounts", sent=sent)
        self.code = code


def test_an_error_can_be_raised_and_chained_as_any_other() -> None:
    with pytest.raises(Unavailable) as caught:
        raise Unavailable("the store") from OSError("down")
    assert isinstance(caught.value.__cause__, OSError)

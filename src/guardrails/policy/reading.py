"""From a document to a checked policy file: every problem is found, each with its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, get_origin

from pydantic import ValidationError

from guardrails.policy.document import At, Document
from guardrails.policy.model import Example, PolicyFile
from guardrails.policy.problems import PolicyError, Problem, nearest
from guardrails.policy.setting import Settings, forms_of, has_forms, inner, settings_in

NAMED: Final = ("quiet_hours", "person_caps", "unique_recipients", "limits", "concurrency", "checks")  # things by name
_WORDED: Final = {
    "bool_type": "write true or false",
    "string_type": "write text; put numbers and other words into quotes",
    "dict_type": "a mapping belongs here",
    "model_type": "a mapping of settings belongs here",
    "list_type": "a list belongs here",
    "int_type": "a whole number belongs here",
    "float_type": "a number belongs here",
}


def policy_file(document: Document) -> PolicyFile:
    """
    The settings in *document*.

    Raises:
        PolicyError: Something is wrong with its form; all of it.
    """
    data = document.data
    if data is None:
        data = {}
    problems: list[Problem] = []
    file: PolicyFile | None = None
    try:
        file = PolicyFile.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        problems += _problems(document, found)
    problems += _missing(document, PolicyFile, data, ())
    problems += [
        Problem(document.place(at), spelled(at), "null says nothing; leave the setting out") for at in _nulls(data, ())
    ]
    problems += _incomplete_examples(document, data)
    if problems or file is None:
        raise PolicyError(document.file, problems)
    return file


def spelled(at: Iterable[str | int]) -> str:
    """A setting as people write it: `platform.limits.burst.rate`, `examples[0].in`."""
    text = ""
    for step in at:
        word = step if isinstance(step, int) or step.isprintable() else step.encode("unicode_escape").decode("ascii")
        text += f"[{word}]" if isinstance(step, int) else f".{word}" if text else str(word)
    return text


def _problems(document: Document, errors: Iterable[Mapping[str, Any]]) -> Iterator[Problem]:
    branches: dict[At, list[tuple[At, str]]] = {}  # what each form says of a setting that may have several
    for error in errors:
        at, holder, inside = _walked(error["loc"])
        place, key = document.place(at), spelled(at)
        if inside is not None:
            branches.setdefault(at, []).append((inside, _worded(error)))
        elif error["type"] == "extra_forbidden":
            known = [field.alias or name for name, field in holder.model_fields.items()] if holder else []
            yield Problem(place, key, f"there is no such setting{nearest(str(at[-1]), known)}")
        elif error["loc"][-1:] == ("[key]",):
            yield Problem(place, key, "a name that may not stand here: " + _worded(error))
        else:
            yield Problem(place, key, _worded(error))
    for at, said in branches.items():
        deep = [(inside, text) for inside, text in said if inside]  # of the form that was meant
        for inside, text in deep:
            here = (*at, *inside)
            yield Problem(document.place(here), spelled(here), text)
        if not deep:
            yield Problem(document.place(at), spelled(at), ", or ".join(dict.fromkeys(text for _, text in said)))


def _worded(error: Mapping[str, Any]) -> str:
    kind = error["type"]
    if kind in _WORDED:
        return _WORDED[kind]
    if kind == "literal_error":
        return f"write {error['ctx']['expected']}"
    if kind == "string_pattern_mismatch":
        return f"it must match {error['ctx']['pattern']}"
    message: str = error["msg"]
    return (
        message.removeprefix("Input ").replace("should be", "it should be", 1) if message.startswith("Input") else message
    )


def _walked(loc: Iterable[str | int]) -> tuple[At, type[Settings] | None, At | None]:
    """
    The path in the file that pydantic's *loc* means, and the settings that it stands in.

    Of a setting that may have several forms the path to it, and the path inside the form that pydantic tried.
    """
    steps = [step for step in loc if step != "[key]"]
    at: list[str | int] = []
    holder: type[Settings] | None = PolicyFile
    inside: Any = None  # the mapping or list type that the next step goes into
    for number, step in enumerate(steps):
        if inside is not None:
            at.append(step)
            inside = None
            continue
        if holder is None:
            break  # within a plain value
        field = next((one for name, one in holder.model_fields.items() if step in (name, one.alias)), None)
        at.append(step)
        if field is None:
            break
        if has_forms(field.annotation) and len(steps) > number + 1:
            return tuple(at), holder, tuple(steps[number + 2 :])
        kind = inner(field.annotation)
        if get_origin(kind) in (dict, list):
            inside = kind
        holder = settings_in(kind)
    return tuple(at), holder, None


def _missing(document: Document, kind: type[Settings], data: Any, at: At) -> Iterable[Problem]:
    """Settings that a thing cannot be without. A limit or check that the platform has needs only what it changes."""
    if not isinstance(data, dict):
        return
    for form in forms_of(kind).values():
        key = form.key
        if form.required and key not in data and not _is_tightening(document, at):
            yield Problem(document.place(at), spelled((*at, key)), f"is missing: {form.description}")
        value = data.get(key)
        if form.holds is None or value is None:
            continue
        if form.direct:
            yield from _missing(document, form.holds, value, (*at, key))
        elif isinstance(value, dict):
            for each, one in value.items():
                yield from _missing(document, form.holds, one, (*at, key, each))
        elif isinstance(value, list):
            for number, one in enumerate(value):
                yield from _missing(document, form.holds, one, (*at, key, number))


def _is_tightening(document: Document, at: At) -> bool:
    """Whether *at* is something below the platform with the name of something that the platform has."""
    if len(at) != 4 or at[2] not in NAMED:  # noqa: PLR2004 - teams.NAME.limits.NAME
        return False
    platform = document.data.get("platform")
    above = platform.get(at[2]) if isinstance(platform, dict) else None
    return isinstance(above, dict) and at[3] in above


def _nulls(data: Any, at: At) -> Iterable[At]:
    if data is None and at:
        yield at
    elif isinstance(data, dict):
        for key, value in data.items():
            if not (len(at) >= 3 and at[-2] == "checks" and key == "settings"):  # noqa: PLR2004 - a control's own
                yield from _nulls(value, (*at, key))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from _nulls(value, (*at, number))


def _incomplete_examples(document: Document, data: Any) -> Iterable[Problem]:
    examples = data.get("examples") if isinstance(data, dict) else None
    for number, example in enumerate(examples if isinstance(examples, list) else ()):
        if not isinstance(example, dict):
            continue
        at = ("examples", number)
        if "in" not in example:
            yield Problem(
                document.place(at), spelled((*at, "in")), f"is missing: {Example.model_fields['in_'].description}"
            )
        if not {"out", "denied_by", "findings"} & example.keys():
            yield Problem(document.place(at), spelled(at), "says nothing to expect: add out, denied_by or findings")

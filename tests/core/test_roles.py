# ruff: noqa: ARG002, ARG005 - controls, steps and stand-ins take what the contract gives them
"""Which parameter plays which role: conventions, markers, options, and what is refused instead of guessed."""

from __future__ import annotations

import functools
from typing import Annotated, Any

import pytest

from guardrails import Conversation, Guard, Recipient, Tenant, Text, context
from guardrails.errors import ConfigError, Denied, GuardrailsError
from tests.core.doubles import Change, Hide, Look

TEXT_NAMES = ("text", "body", "message", "content", "prompt")
RECIPIENT_NAMES = ("to", "recipient", "phone", "phone_number", "number", "email", "chat_id")
CONVERSATION_NAMES = ("conversation", "conversation_id", "thread_id")
TENANT_NAMES = ("tenant", "tenant_id", "org")
KNOWN_NAMES = ("id", "key", "sender", "from_")


def function(source: str) -> Any:
    """A function with any parameters; it returns them."""
    space: dict[str, Any] = {}
    exec(f"def send({source}):\n    return dict(locals())", space)  # noqa: S102 - our own source
    return space["send"]


@pytest.mark.parametrize("name", TEXT_NAMES)
def test_each_conventional_text_name_is_the_text(name: Any) -> None:
    look = Look()
    send = Guard(look)(function(name))
    send("hello")
    assert dict(look.last.parts) == {name: "hello"}


@pytest.mark.parametrize("name", RECIPIENT_NAMES)
def test_each_conventional_recipient_name_is_the_recipient(name: Any) -> None:
    look = Look()
    Guard(look)(function(f"{name}, body"))("someone", "hello")
    assert look.last.recipients == ("someone",)


@pytest.mark.parametrize("name", CONVERSATION_NAMES)
def test_each_conventional_conversation_name_is_the_conversation(name: Any) -> None:
    look = Look()
    Guard(look)(function(f"{name}, body"))("c-1", "hello")
    assert look.last.conversation == "c-1"


@pytest.mark.parametrize("name", TENANT_NAMES)
def test_each_conventional_tenant_name_is_the_tenant(name: Any) -> None:
    look = Look()
    Guard(look)(function(f"{name}, body"))("t-1", "hello")
    assert look.last.tenant == "t-1"


@pytest.mark.parametrize("name", KNOWN_NAMES)
def test_known_names_are_no_text_and_need_no_word(name: Any) -> None:
    look = Look()
    Guard(look)(function(f"{name}, body"))("x", "hello")
    assert dict(look.last.parts) == {"body": "hello"}


@pytest.mark.parametrize("name", ["sender", "from_"])
def test_the_sender_is_bound(name: Any) -> None:
    look = Look()
    Guard(look)(function(f"{name}, body"))("us", "hello")
    assert look.last.sender == "us"


@pytest.mark.parametrize(
    "source",
    [
        "",
        "to",
        "to, id",
        "x",
        "body, x",
        "body, subject",
        "body, *args",
        "body, **kwargs",
        "*body",
        "**body",
        "body, *, x=1",
    ],
)
def test_a_bare_guard_that_would_have_to_guess_lists_the_parameters_and_what_to_write(source: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Guard()(function(source))
    said = str(caught.value)
    for name in source.replace("*", "").replace("=1", "").replace(" ", "").split(","):
        assert name in said
    assert "text=" in said
    assert "@guard(" in said


@pytest.mark.parametrize("pair", [("body", "text"), ("message", "content"), ("prompt", "body")])
def test_two_conventional_text_names_are_a_config_error(pair: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Guard()(function(", ".join(pair)))
    assert all(repr(name) in str(caught.value) for name in pair)


@pytest.mark.parametrize(
    ("pair", "role"),
    [(("to", "email"), "recipient"), (("thread_id", "conversation"), "conversation"), (("tenant", "org"), "tenant")],
)
def test_two_conventional_names_for_one_role_are_a_config_error(pair: Any, role: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Guard()(function(f"body, {', '.join(pair)}"))
    assert all(repr(name) in str(caught.value) for name in pair)
    assert f"{role}=" in str(caught.value)


def test_naming_one_of_two_settles_it() -> None:
    look = Look()
    Guard(look)(recipient="email")(function("body, to, email"))("hello", "x", "someone")
    assert look.last.recipients == ("someone",)


def test_naming_a_role_none_settles_it() -> None:
    look = Look()
    Guard(look)(recipient=None)(function("body, to, email"))("hello", "x", "y")
    assert look.last.recipients == ()


def test_naming_the_text_leaves_the_others_conventional() -> None:
    look = Look()
    Guard(look)(text="note")(function("to, note, thread_id, org, extra"))("someone", "hello", "c-1", "t-1", "x")
    assert look.last.recipients == ("someone",)
    assert (look.last.conversation, look.last.tenant) == ("c-1", "t-1")
    assert dict(look.last.parts) == {"note": "hello"}


def test_naming_the_recipient_leaves_the_text_conventional() -> None:
    look = Look()
    Guard(look)(recipient="whom")(function("whom, body"))("someone", "hello")
    assert look.last.recipients == ("someone",)
    assert look.last.text == "hello"


def test_a_text_name_that_is_named_text_is_not_the_recipient_too() -> None:
    look = Look()
    Guard(look)(text=["email"])(function("to, email"))("someone", "hello")
    assert look.last.recipients == ("someone",)


@pytest.mark.parametrize("option", ["text", "recipient", "conversation", "tenant", "message_key"])
def test_a_selector_that_names_no_parameter_repeats_it_and_lists_them(option: Any) -> None:
    options: dict[str, Any] = {"text": "body", option: "bdy.x"}
    with pytest.raises(ConfigError) as caught:
        Guard()(**options)(function("to, body"))
    assert "'bdy.x'" in str(caught.value)
    assert "to, body" in str(caught.value)


@pytest.mark.parametrize("option", ["text", "recipient", "conversation", "tenant", "message_key"])
@pytest.mark.parametrize("value", [5, b"body", object(), [5], [None], True])
def test_an_option_of_another_type_is_a_config_error(option: Any, value: Any) -> None:
    options: dict[str, Any] = {"text": "body", option: value}
    with pytest.raises(ConfigError):
        Guard()(**options)(function("to, body, note"))


@pytest.mark.parametrize("value", [None, [], (), ""])
def test_no_text_at_all_is_a_config_error(value: Any) -> None:
    with pytest.raises(ConfigError):
        Guard()(text=value)(function("to, body"))


@pytest.mark.parametrize("option", ["text", "recipient"])
def test_naming_a_selector_twice_is_a_config_error(option: Any) -> None:
    options: dict[str, Any] = {"text": "body", option: ["body", "body"]}
    with pytest.raises(ConfigError):
        Guard()(**options)(function("to, body"))


@pytest.mark.parametrize("option", ["conversation", "tenant", "message_key"])
def test_an_id_takes_one_selector(option: Any) -> None:
    options: dict[str, Any] = {"text": "body", option: ["a", "b"]}
    with pytest.raises(ConfigError):
        Guard()(**options)(function("body, a, b"))


def test_an_unknown_option_is_a_type_error_or_config_error() -> None:
    options: dict[str, Any] = {"txt": "body"}
    with pytest.raises((TypeError, ConfigError)):
        Guard()(**options)(function("to, body"))


@pytest.mark.parametrize(
    "option", [{"reply": "x"}, {"reply": None}, {"stream": "x"}, {"shape": "x"}, {"channel": ""}, {"channel": 5}]
)
def test_a_wrong_option_is_a_config_error(option: Any) -> None:
    with pytest.raises(ConfigError):
        Guard()(**option)(function("to, body"))


@pytest.mark.parametrize("reply", ["auto", "mask", "pass"])
def test_every_reply_is_accepted_with_what_it_needs(reply: Any) -> None:
    assert callable(Guard(Hide())(reply=reply)(function("to, body")))


def test_a_reply_cannot_be_restored_without_a_vault() -> None:
    with pytest.raises(ConfigError, match="needs a mask control with a vault"):
        Guard(Hide())(reply="restore")(function("to, body"))


def test_reply_mask_without_a_mask_is_a_config_error() -> None:
    with pytest.raises(ConfigError):
        Guard(reply := Look())(reply="mask")(function("to, body"))
    assert reply.messages == []


# -- markers -----------------------------------------------------------------------------------------------------------


def marked(
    note: Annotated[str, Text],
    whom: Annotated[str, Recipient],
    chat: Annotated[str, Conversation],
    who: Annotated[str, Tenant],
) -> None: ...


def test_annotated_markers_name_roles_also_as_string_annotations() -> None:
    look = Look()
    Guard(look)(marked)("hello", "someone", "c-1", "t-1")
    assert dict(look.last.parts) == {"note": "hello"}
    assert look.last.recipients == ("someone",)
    assert (look.last.conversation, look.last.tenant) == ("c-1", "t-1")


def test_markers_may_be_instances() -> None:
    look = Look()

    def send(note: str, whom: str) -> None: ...

    send.__annotations__ = {"note": Annotated[str, Text()], "whom": Annotated[str, "doc", Recipient()]}
    Guard(look)(send)("hello", "someone")
    assert (look.last.text, look.last.recipients) == ("hello", ("someone",))


def test_several_texts_may_be_marked() -> None:
    look = Look()

    def send(subject: Annotated[str, Text], note: Annotated[str, Text], rest: int = 0) -> None: ...

    Guard(look)(send)("a", "b")
    assert dict(look.last.parts) == {"subject": "a", "note": "b"}


@pytest.mark.parametrize("marker", [Conversation, Tenant])
def test_two_marked_ids_are_a_config_error(marker: Any) -> None:
    def send(body: str, one: str, two: str) -> None: ...

    send.__annotations__ = {"one": Annotated[str, marker], "two": Annotated[str, marker]}
    with pytest.raises(ConfigError):
        Guard()(send)


def test_an_option_wins_over_a_marker() -> None:
    look = Look()

    def send(note: Annotated[str, Text], other: str) -> None: ...

    Guard(look)(text="other")(send)("a", "b")
    assert dict(look.last.parts) == {"other": "b"}


def test_a_marker_inside_a_union_counts() -> None:
    look = Look()

    def send(body: str, whom: Annotated[str, Recipient] | None = None) -> None: ...

    Guard(look)(text="body")(send)("hello", "someone")
    assert look.last.recipients == ("someone",)


def test_a_marker_inside_a_list_counts() -> None:
    look = Look()

    def send(body: str, whom: list[Annotated[str, Recipient]]) -> None: ...

    Guard(look)(text="body")(send)("hello", ["one", "two"])
    assert look.last.recipients == ("one", "two")


def test_a_marker_that_cannot_be_evaluated_is_a_config_error_and_not_ignored() -> None:
    def send(body: str, whom: str) -> None: ...

    send.__annotations__ = {"whom": "Annotated[Missing, Recipient]"}
    with pytest.raises(ConfigError) as caught:
        Guard()(text="body")(send)
    assert "@guard(" in str(caught.value)


def test_annotations_that_cannot_be_evaluated_and_mark_nothing_do_no_harm() -> None:
    look = Look()

    def send(to: str, body: str) -> None: ...

    send.__annotations__ = {"to": "Missing", "body": "str", "return": "AlsoMissing"}
    Guard(look)(send)("someone", "hello")
    assert look.last.text == "hello"


def test_a_forward_reference_is_resolved_in_the_module_of_the_send() -> None:
    look = Look()

    def send(note: str) -> None: ...

    send.__annotations__ = {"note": "Alias"}
    Guard(look)(send)("hello")
    assert look.last.text == "hello"


Alias = Annotated[str, Text]


def test_markers_on_callable_objects_partials_and_methods() -> None:
    class Client:
        def __call__(self, note: Annotated[str, Text]) -> None: ...

        def post(self, note: Annotated[str, Text]) -> None: ...

    for send in (Client(), Client().post, functools.partial(Client().post), functools.partial(Client())):
        look = Look()
        Guard(look).wrap(send)("hello")
        assert dict(look.last.parts) == {"note": "hello"}


# -- what is decorated -------------------------------------------------------------------------------------------------


def test_a_class_is_a_config_error() -> None:
    with pytest.raises(ConfigError) as caught:

        @Guard()
        class Sender:
            def __call__(self, body: str) -> None: ...

    assert "Sender" in str(caught.value)


@pytest.mark.parametrize("thing", [5, "send", None, [], property(lambda self: 1)])
def test_what_cannot_be_called_is_a_config_error(thing: Any) -> None:
    with pytest.raises(ConfigError):
        Guard().wrap(thing, text="body")


def test_a_callable_without_a_readable_signature_is_a_config_error_that_names_bind() -> None:
    class Odd:
        __signature__ = "nonsense"

        def __call__(self, body: str) -> None: ...

    with pytest.raises(ConfigError) as caught:
        Guard().wrap(Odd(), text="body")
    assert "bind=" in str(caught.value)


# -- required roles ----------------------------------------------------------------------------------------------------


class Needs:
    def __init__(self, *needs: str) -> None:
        self.needs = needs

    async def guard(self, call: Any, forward: Any, io: Any, /) -> object:
        return await forward(call)


def test_a_needed_recipient_that_no_parameter_names_is_a_config_error() -> None:
    with pytest.raises(ConfigError) as caught:
        Guard(Needs("recipient"))(text="body")(function("whom, body"))
    assert "recipient" in str(caught.value)
    assert "whom, body" in str(caught.value)


@pytest.mark.parametrize("value", [None, "", [], ()])
def test_a_call_without_a_needed_recipient_is_denied(value: Any) -> None:
    sent: list[object] = []

    def send(to: Any, body: str) -> None:
        sent.append(to)

    with pytest.raises(Denied) as caught:
        Guard(Needs("recipient"))(send)(value, "hello")
    assert caught.value.sent is False
    assert sent == []


@pytest.mark.parametrize("value", [None, ""])
def test_a_guard_that_names_a_tenant_denies_a_call_without_one(value: Any) -> None:
    with pytest.raises(Denied):
        Guard(Change())(function("tenant, body"))(value, "hello")


def test_a_tenant_from_the_context_is_one() -> None:
    look = Look()
    with context(tenant="t-9"):
        Guard(look)(function("tenant, body"))(None, "hello")
    assert look.last.tenant == "t-9"


def test_the_argument_wins_over_the_context() -> None:
    look = Look()
    with context(tenant="t-9", conversation="c-9"):
        Guard(look)(function("tenant, conversation, body"))("t-1", "c-1", "hello")
    assert (look.last.tenant, look.last.conversation) == ("t-1", "c-1")


@pytest.mark.parametrize("needed", ["conversation", "actor", "sender", "tenant"])
def test_a_call_without_a_needed_id_is_denied(needed: Any) -> None:
    with pytest.raises(GuardrailsError) as caught:
        Guard(Needs(needed))(function("to, body"))("someone", "hello")
    assert caught.value.sent is False
    assert needed in str(caught.value)

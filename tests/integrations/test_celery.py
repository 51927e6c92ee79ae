"""Celery on its in-memory broker: what is published, and what the worker's side sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, chain, chord, group

from guardrails import Guard, MaskPII, RateLimit, context
from guardrails.core.context import current
from guardrails.errors import Blocked, ConfigError, Denied, RateLimited
from guardrails.integrations.celery import guard_send_task, guarded_task

PHONE = "+12125550173"
TEXT = "Write to ann@example.com"
MASKED = "Write to <EMAIL_ADDRESS>"


class Shop:
    """An application with three tasks, and what it has published."""

    def __init__(self, guard: Guard, name: str) -> None:
        self.app = Celery(
            name, broker="memory://", backend="cache+memory://", task_cls=guarded_task(guard), set_as_current=False
        )
        self.app.conf.task_default_queue = name
        self.ran: list[Any] = []

        @self.app.task(name=f"{name}.sms")
        def sms(to: str, body: str) -> None:
            self.ran.append((to, body, current.get()))

        @self.app.task(bind=True, name=f"{name}.mail", guard_options={"text": ["body"], "recipient": "to"})
        def mail(task: Any, to: str, body: str, extra: object = None) -> None:
            if task.request.retries == 0:
                raise task.retry(countdown=0)

        @self.app.task(name=f"{name}.clean", guard_options=False)
        def clean(note: str) -> None: ...

        self.sms, self.mail, self.clean = sms, mail, clean

    def published(self) -> list[Any]:
        found: list[Any] = []
        with self.app.connection() as connection:
            queue = connection.SimpleQueue(self.app.conf.task_default_queue)
            while True:
                try:
                    message = queue.get(block=False)
                except queue.Empty:
                    return found
                message.ack()
                found.append(message)


@pytest.fixture
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    made = Shop(Guard(RateLimit("2/hour"), MaskPII(names="off")), request.node.name)
    yield made
    made.app.close()


def test_g3_arguments_and_their_reprs_are_masked_and_ids_travel(shop: Shop) -> None:
    with context(tenant="t-1", conversation="about ann", actor="a-1"):
        shop.sms.delay(PHONE, TEXT)
    shop.mail.apply_async((PHONE,), {"body": TEXT}, headers={"own": "1"})
    one, two = shop.published()
    assert MASKED in str(one.payload)
    assert PHONE in str(one.payload)
    for message in (one, two):
        assert "ann@example.com" not in f"{message.body!r}{message.headers!r}{message.properties!r}"
    assert {name: value for name, value in one.headers.items() if name.startswith("guardrails")} == {
        "guardrails_tenant": "t-1",
        "guardrails_actor": "a-1",
    }
    assert two.headers["own"] == "1"


def test_g1_what_is_refused_is_not_published(shop: Shop) -> None:
    shop.sms.delay(PHONE, TEXT)
    shop.sms.delay(PHONE, TEXT)
    with pytest.raises(RateLimited):
        shop.sms.delay(PHONE, TEXT)
    assert len(shop.published()) == 2


def test_g1_ways_around_the_guard_are_refused(shop: Shop) -> None:
    guard_send_task(shop.app)
    with pytest.raises(Denied, match="linked, chained"):
        shop.sms.apply_async((PHONE, TEXT), link=shop.sms.s(PHONE, TEXT))
    with pytest.raises(Denied, match="no guarded task"):
        shop.app.send_task("somebody.else", (TEXT,))
    shop.app.send_task(shop.sms.name, (PHONE, TEXT))
    (one,) = shop.published()
    assert "ann@example.com" not in str(one.payload)


def test_g1_no_task_that_is_no_message_carries_one_that_is(shop: Shop) -> None:
    message, other = shop.sms.si(PHONE, TEXT), shop.clean.si("n")
    for way in (
        lambda: shop.clean.apply_async(("n",), link=message),
        lambda: shop.clean.apply_async(("n",), link_error=[other, message]),
        lambda: chain(other, message).apply_async(),
        lambda: chain(other, group(other, message)).apply_async(),
        lambda: chord([other, other], message).apply_async(),
        lambda: shop.sms.starmap([(PHONE, TEXT)]).apply_async(),
        lambda: shop.sms.chunks([(PHONE, TEXT)], 1).apply_async(),
        lambda: shop.app.tasks["celery.chord_unlock"].delay("g", message),
    ):
        with pytest.raises(Denied, match="that the guard does not see"):
            way()  # type: ignore[no-untyped-call]  # celery has no types
    assert not any("ann@example.com" in repr((one.payload, one.headers)) for one in shop.published())


def test_tasks_that_are_no_messages_may_be_linked_and_chained_and_so_may_celery_s_own(shop: Shop) -> None:
    other = shop.clean.si("n")
    shop.sms.apply_async((PHONE, "hello"), link=other)
    chain(shop.sms.si(PHONE, "hello"), other).apply_async()
    shop.clean.map(["n"]).apply_async()
    shop.app.tasks["celery.backend_cleanup"].delay()
    assert len(shop.published()) == 4


def test_names_of_others_may_pass_when_that_is_said(shop: Shop) -> None:
    guard_send_task(shop.app, others="pass")
    shop.app.send_task("somebody.else", ("hello",))
    assert len(shop.published()) == 1
    with pytest.raises(ConfigError, match='"refuse" or "pass"'):
        guard_send_task(shop.app, others="maybe")


def test_a_task_that_is_no_message_is_published_as_it_is(shop: Shop) -> None:
    shop.clean.delay(TEXT)
    assert TEXT in str(shop.published()[0].payload)


@pytest.mark.parametrize("option", [{"headers": {"of": TEXT}}, {"argsrepr": TEXT}, {"shadow": TEXT}])
def test_g3_what_is_published_beside_the_arguments_shows_nobodys_address(shop: Shop, option: dict[str, Any]) -> None:
    shop.sms.apply_async((PHONE, TEXT), headers={"of": "order-1"}, shadow="sms", countdown=0)
    with pytest.raises(Blocked, match="EMAIL_ADDRESS"):
        shop.sms.apply_async((PHONE, TEXT), **option)
    (message,) = shop.published()
    assert message.headers["of"] == "order-1"


def test_a_task_whose_text_cannot_be_told_says_what_to_write(shop: Shop) -> None:
    @shop.app.task(name="odd")
    def odd(first: str, second: str) -> None: ...

    with pytest.raises(ConfigError, match="Say which hold text"):
        odd.delay("a", "b")


def test_the_ids_are_in_force_while_the_task_runs(shop: Shop) -> None:
    headers = {"guardrails_conversation": "c-1"}
    shop.sms.apply((PHONE, "hello"), headers=headers)
    assert shop.ran[0][2].conversation == "c-1"


def test_g6_celerys_own_retry_is_charged_once(shop: Shop) -> None:
    shop.mail.delay(PHONE, TEXT)
    (message,) = shop.published()
    args, kwargs, _ = message.payload
    request = {"id": message.headers["id"], "retries": 0, "args": args, "kwargs": kwargs, "called_directly": False}
    shop.mail.push_request(**request, headers={}, delivery_info={}, is_eager=False)
    try:
        for _ in range(3):
            with pytest.raises(Exception, match="Retry"):
                shop.mail.run(*args, **kwargs)
    finally:
        shop.mail.pop_request()
    assert len(shop.published()) == 3
    shop.mail.delay(PHONE, TEXT)
    with pytest.raises(RateLimited):
        shop.mail.apply_async((PHONE, TEXT), retries=1)

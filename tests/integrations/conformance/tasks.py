"""Celery on its in-memory broker."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

from celery import Celery

from guardrails.errors import GuardrailsError
from guardrails.integrations.celery import guard_send_task, guarded_task
from tests.integrations.conformance.contract import PHONE, SECRET, Host

_names = (f"conformance-{number}" for number in itertools.count())


class CeleryHost(Host):
    name = "celery"
    package = "celery"
    modes = ("apply_async", "delay", "send_task")
    refusal = (GuardrailsError,)
    without: ClassVar[Any] = {
        3: "publishing has no reply",
        0: "publishing cannot be interrupted",
        11: "publishing is sync",
    }

    @property
    def is_async(self) -> bool:
        return False

    def start(self) -> None:
        name = next(_names)
        self.app = Celery(name, broker="memory://", task_cls=guarded_task(self.guard), set_as_current=False)
        self.app.conf.task_default_queue = name
        guard_send_task(self.app)

        @self.app.task(bind=True, name=f"{name}.sms", guard_options={"text": ["body"], "recipient": "to"})
        def sms(task: Any, to: str, body: str, extra: object = None) -> None:
            if task.request.retries == 0:
                raise task.retry(countdown=0)

        self.sms = sms

    def close(self) -> None:
        self.app.close()

    def send_now(self, text: str) -> str:
        given: dict[str, Any] = {"to": PHONE, "body": text}
        self.given = [given]
        fault = self.faults.pop(0) if self.faults else None
        if fault == "error":
            given = {**given, "extra": Unreadable()}
        match self.mode:
            case "apply_async":
                self.sms.apply_async(kwargs=given)
            case "delay":
                self.sms.delay(**given)
            case _:
                self.app.send_task(self.sms.name, kwargs=given)
        message = self.published()
        if fault == "busy":
            self.retried(message)
            self.published()
        return ""

    def retried(self, message: Any) -> None:
        """Run the task as a worker does; it asks to be tried again."""
        args, kwargs, _ = message.payload
        request = {"id": message.headers["id"], "retries": 0, "args": args, "kwargs": kwargs, "called_directly": False}
        self.sms.push_request(**request, headers={}, delivery_info={}, is_eager=False)
        try:
            self.sms.run(*args, **kwargs)
        except Exception as error:
            if type(error).__name__ != "Retry":
                raise
        finally:
            self.sms.pop_request()

    def published(self) -> Any:
        with self.app.connection() as connection:
            queue = connection.SimpleQueue(self.app.conf.task_default_queue)
            message: Any = queue.get(block=False)
            message.ack()
        _, kwargs, _ = message.payload
        self.arrived(f"{message.payload!r}{message.body!r}{message.headers!r}{message.properties!r}", kwargs["to"])
        return message


class Unreadable:
    """What no serializer can write, and says so with its text."""

    def __repr__(self) -> str:
        return SECRET


HOSTS = (CeleryHost,)

"""
The least audit log: what no log of this kind can do without, and nothing else. The real one is measured against it.

A keyed digest of the text, two records of the usual size as one f-string each, a SHA-256 chain, and one write each; or, with a
durable acknowledgement, a thread that writes and syncs what tasks have handed over, and wakes them. No rules, no escapes, no
refusals, no slots, no deadlines, no structlog, no second stream: nothing that keeps a promise can be faster.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import itertools
import os
import threading
import time
from hashlib import sha256

from measure import Subject

KEY = b"k" * 32
BODY = "Your parcel arrives on Tuesday between nine and eleven."
PERSON = "Afrf-HcW3AH7-0vj8ZY643tlSERHY1j2sB407GruzrY"
STREAM = "5" * 32


class Least:
    """Makes lines."""

    def __init__(self) -> None:
        self._prev = "0" * 64
        self._seq = itertools.count()

    def intent(self, send: int) -> bytes:
        """As long as one of ours."""
        digest = base64.urlsafe_b64encode(hmac.digest(KEY, BODY.encode(), "sha256"))[:43].decode()
        now = time.time_ns()
        line = (
            f'{{"channel":"sms","content":{{"characters":{len(BODY)},"digest":"hmac-sha256:d0adb4878ccd:{digest}","parts":1}},'
            f'"conversation":"thread-1","coverage":{{"scanned":1,"unscanned":{{}}}},"direction":"outbound","durability":"os",'
            f'"event_id":"{send:032x}","guards":[{{"duration_us":4,"layer":"platform","monitored":false,"name":"rate_limit",'
            f'"verdict":"allow"}},{{"duration_us":50,"layer":"platform","monitored":false,"name":"mask_pii","verdict":"allow"}}],'
            f'"operation":"shop.messages:send","prev":"{self._prev}","recipients":[{{"digest":"hmac-sha256:b10c35ee1cb6:{PERSON}",'
            f'"kind":"phone"}}],"schema_version":1,"send_id":"{send:032x}","seq":{next(self._seq)},"stage":"intent",'
            f'"stream":"{STREAM}","ts":"2026-01-01T00:00:00.{now // 1_000 % 1_000_000:06d}Z"}}'
        ).encode()
        self._prev = sha256(line).hexdigest()
        return line + b"\n"

    def outcome(self, send: int) -> bytes:
        """Likewise."""
        line = (
            f'{{"duration_us":100000,"durability":"os","event_id":"{send:032x}","prev":"{self._prev}","result":"sent",'
            f'"schema_version":1,"send_id":"{send:032x}","seq":{next(self._seq)},"stage":"outcome","stream":"{STREAM}",'
            f'"ts":"2026-01-01T00:00:00.{time.time_ns() // 1_000 % 1_000_000:06d}Z"}}'
        ).encode()
        self._prev = sha256(line).hexdigest()
        return line + b"\n"


def least_inline(descriptor: int, sends: int) -> Subject:
    """Seconds per send: two records, two writes."""
    log, numbers = Least(), itertools.count()

    def measure() -> float:
        begun = time.perf_counter()
        for send in itertools.islice(numbers, sends):
            os.write(descriptor, log.intent(send))
            os.write(descriptor, log.outcome(send))
        return (time.perf_counter() - begun) / sends

    return measure


class LeastWriter:
    """A thread that writes what waits, syncs it, and wakes who waits."""

    def __init__(self, descriptor: int, loop: asyncio.AbstractEventLoop) -> None:
        self._descriptor = descriptor
        self._loop = loop
        self._waiting: list[tuple[bytes, asyncio.Future[None] | None]] = []
        self._wake = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def put(self, line: bytes, future: asyncio.Future[None] | None) -> None:
        """Hand over."""
        self._waiting.append((line, future))
        self._wake.set()

    def _run(self) -> None:
        while self._wake.wait():
            self._wake.clear()
            batch, self._waiting = self._waiting, []
            os.write(self._descriptor, b"".join([line for line, _ in batch]))
            os.fsync(self._descriptor)
            futures = [future for _, future in batch if future is not None]
            self._loop.call_soon_threadsafe(_settle, futures)


def _settle(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


def least_acknowledged(descriptor: int, sends: int, tasks: int, loop: asyncio.AbstractEventLoop) -> Subject:
    """Seconds per durable intent, with so many tasks that wait for theirs; the outcomes ride along."""
    log, writer, numbers = Least(), LeastWriter(descriptor, loop), itertools.count()

    async def work(count: int) -> None:
        for send in itertools.islice(numbers, count):
            future = loop.create_future()
            writer.put(log.intent(send), future)
            await future
            writer.put(log.outcome(send), None)

    async def measure() -> float:
        begun = time.perf_counter()
        await asyncio.gather(*(work(sends // tasks) for _ in range(tasks)))
        return (time.perf_counter() - begun) / (sends // tasks * tasks)

    return lambda: loop.run_until_complete(measure())

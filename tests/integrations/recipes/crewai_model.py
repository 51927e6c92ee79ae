"""CrewAI: a model that makes its clients with guarded transports."""

import os

os.environ |= {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true", "CREWAI_TRACING_ENABLED": "false"}

import httpx
import openai
from crewai import Agent, Crew, Task
from crewai.llms.providers.openai.completion import OpenAICompletion
from stand_in import MASKED, PROMPT, check, start

from guardrails import Deny, Guard, MaskPII, Message
from guardrails import check as control
from guardrails.integrations.httpx import AsyncGuardTransport, GuardTransport


class GuardedModel(OpenAICompletion):
    guard: Guard

    def _build_sync_client(self) -> openai.OpenAI:
        http = httpx.Client(transport=GuardTransport(self.guard, routes="openai"))
        return openai.OpenAI(**self._get_client_params(), http_client=http)

    def _build_async_client(self) -> openai.AsyncOpenAI:
        http = httpx.AsyncClient(transport=AsyncGuardTransport(self.guard, routes="openai"))
        return openai.AsyncOpenAI(**self._get_client_params(), http_client=http)


@control
def no_refunds(message: Message) -> Deny | None:
    return Deny("no refunds") if "refund" in message.text else None


guard = Guard(MaskPII(names="off"), no_refunds, channel="llm")
model = GuardedModel(model="m", api_key="none", base_url=start(), guard=guard, max_retries=0)

assert model.call(PROMPT) == MASKED
agent = Agent(role="clerk", goal="to help", backstory="has helped for years", llm=model)
task = Task(description=PROMPT, expected_output="an answer", agent=agent)
assert str(Crew(agents=[agent], tasks=[task]).kickoff()) == MASKED
check(calls=2)
try:
    model.call("a refund, please")
except ConnectionError:  # what the client's error becomes here; nothing was sent
    check(calls=2)
else:
    raise AssertionError("it was sent")

"""Strands: the model gets a client whose transport is guarded; its streams are masked as they pass."""

import httpx
import openai
from stand_in import MASKED, PROMPT, check, start
from strands import Agent
from strands.models.openai import OpenAIModel

from guardrails import Guard, MaskPII
from guardrails.integrations.httpx import AsyncGuardTransport

guard = Guard(MaskPII(names="off"), channel="llm")
http = httpx.AsyncClient(transport=AsyncGuardTransport(guard, routes="openai"))
client = openai.AsyncOpenAI(api_key="none", base_url=start(), http_client=http)
agent = Agent(model=OpenAIModel(client=client, model_id="m"), callback_handler=None)

assert str(agent(PROMPT)).strip() == MASKED
check(calls=1)

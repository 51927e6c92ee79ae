"""LiteLLM: its functions wrapped; and below it, for streams, a client whose transport is guarded."""

import asyncio
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would ask the network at import

import httpx
import litellm
import openai
from stand_in import MASKED, PROMPT, check, start

from guardrails import Guard, MaskPII
from guardrails.errors import Blocked
from guardrails.integrations.httpx import GuardTransport

guard = Guard(MaskPII(names="off"), channel="llm")
completion = guard.wrap(litellm.completion, text="messages[*].content", recipient=None, reply="mask")
acompletion = guard.wrap(litellm.acompletion, text="messages[*].content", recipient=None, reply="mask", shape="async")
where = {"model": "openai/m", "api_base": start(), "api_key": "none"}
messages = [{"role": "user", "content": PROMPT}, {"role": "user", "content": [{"type": "text", "text": PROMPT}]}]

assert completion(messages=messages, **where).choices[0].message.content == MASKED
with asyncio.Runner() as runner:
    assert runner.run(acompletion(messages=messages, **where)).choices[0].message.content == MASKED
check(calls=2)
try:
    completion(messages=messages, user="ann@example.com", **where)  # an argument that is no text shows an address
except Blocked:
    check(calls=2)
else:
    raise AssertionError("it was sent")

client = openai.OpenAI(
    api_key="none",
    base_url=where["api_base"],
    http_client=httpx.Client(transport=GuardTransport(guard, routes="openai")),
)
stream = litellm.completion(messages=messages, model=where["model"], client=client, stream=True)
assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == MASKED
check(calls=3)

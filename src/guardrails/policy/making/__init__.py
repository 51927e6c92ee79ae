"""Settings of a policy, as the objects that they mean; `guardrails.policy.controls` makes each once."""

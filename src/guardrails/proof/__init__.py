"""
Proof that guardrails work, and which ones matter.

`canary(guard)` tries every control with planted values; `Health` and `healthz` say how they are doing; the commands
`doctor`, `watch`, `drill`, `inventory`, `overlap`, `sends` and `homegrown` of the command line are built from this package.
"""

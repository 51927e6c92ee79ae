"""
Policies in a file: one for all teams, read strictly, tightened layer by layer, changed live.

    guard = from_policy("guardrails.yaml", team="growth", channel="sms")     a guard over it
    Policy.at("guardrails.yaml")                                             the policy itself: reload, vault, digest
"""

from guardrails.policy.live import Policy, from_policy
from guardrails.policy.problems import Place, PolicyError, Problem

__all__ = ["Place", "Policy", "PolicyError", "Problem", "from_policy"]

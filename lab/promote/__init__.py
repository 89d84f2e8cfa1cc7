"""Promotion: what passed its scenarios goes to the real servers, and comes back when it hurts.

Evidence says what passed, the gate whether that is enough, the plan what will change, the rollout
changes one host after the other. All of it acts through the operator alone, so that a lab can
play the real servers.
"""

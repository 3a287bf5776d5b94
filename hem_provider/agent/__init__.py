"""``hem agent``: one login for all programs of a user, and an ssh-agent (docs/agent.md).

The daemon holds what is dear: the derived credential, tokens, the connection. Programs speak to it over a
Unix socket in the device's own REST API, so that to them it is one more way to the device.
"""

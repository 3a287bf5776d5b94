"""The device's REST API: transports, eJWT login, tokens, and one typed method per endpoint.

``RestApi`` holds the endpoint groups of one device. Its methods take the token they need;
``LoginSession`` obtains tokens and cures what can be cured.
"""

from __future__ import annotations

__all__: list[str] = []

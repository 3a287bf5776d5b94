"""The device's REST API: calls as values, answers held against what they may be, and transports.

Each function describes a ``Call`` and checks its arguments; ``LoginSession.run`` runs it, with the token
that it needs and the cures that there are. ``Channel`` is how a call travels.
"""

from __future__ import annotations

__all__: list[str] = []

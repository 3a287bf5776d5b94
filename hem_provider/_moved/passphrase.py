"""Former name; see ``hem_provider._moved``."""

from hem_provider._moved import hand_over

hand_over(__name__)

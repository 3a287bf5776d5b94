"""What ``hem init`` does: a factory-fresh device is brought into use, as a conversation or from options."""

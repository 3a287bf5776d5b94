"""What a host asks for: templates, the rules of every attribute, and plans of keys to be made."""

"""HEM keys in the shapes of other libraries, one module each.

Every module needs the library it adapts to and nothing imports one but its user:
``keyring`` (extra ``keyring``), ``nacl`` (extra ``nacl``).
"""

"""The ssh-agent protocol (RFC 9987, OpenSSH's ``PROTOCOL.agent``) with the keys of a device.

No I/O is done here: bytes come from and go to whoever owns the socket, keys and signatures come from a
``KeySource``.
"""

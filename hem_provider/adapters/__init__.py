"""HEM keys in the shapes of other libraries and in the formats of other programs, one module each.

Nothing imports one but its user. Those for a library need it: ``keyring`` (extra ``keyring``), ``nacl``
(extra ``nacl``); ``asyncssh``, ``djangoca``, ``joserfc``, ``jwcrypto``, ``paramiko``, ``pdf`` (pyHanko),
``pyjwt``, ``securesystemslib`` and ``tink`` are for those who have the library anyway, and say how to install
it. ``age`` reads and writes the files of the program of that name, and needs nothing, as do ``sigstore``,
which answers cosign, and the forms of signatures that others verify: ``cms``, ``sshsig``, ``minisign``,
``jws`` and ``rawsig``.
"""

"""The functions of Cryptoki, grouped as the standard's chapter 5 groups them.

Each takes the ``Module`` or its ``Session`` and plain values, and raises what
``hem_pkcs11.returns`` translates.
"""

"""Sigstore's KMS plugin protocol, version v1 (sigstore/sigstore, ``pkg/signature/kms/cliplugin``).

``protocol`` has requests, ``scheme`` what is to be signed by which algorithm, ``methods`` what is done and
answered.

Which key is meant is what stands behind ``hem://``: a KID, a label, or a PKCS#11 URI.
"""

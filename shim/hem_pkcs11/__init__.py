"""The PKCS#11 module in Python: what ``libhem_pkcs11.so`` runs once its C layer has started us.

``module`` holds the functions of Cryptoki over plain Python values and can be used and tested
without the library; ``bridge`` is the only part that touches C memory. Nothing here imports the
device layer, and with it the network, before a call needs the device.
"""

"""A file of secrets that open only with a key of a HEM.

========== ==========================================================================
errors      what can be wrong with a vault
format      the file's text, canonical in every byte; no I/O, no cryptography but a checksum
names       service and user name as the file shows them: readable, or hidden
sealing     one entry: its data key wrapped by the device, its content sealed here
store       reading, locking and replacing the file so that nothing is lost
keys        the vault's keys on a device
opening     the configured device, opened once, with a person asked for the passphrase if need be
vault       ``Vault``: look up, set, delete, list
bulk        what works through many entries: put, check, rewrap
========== ==========================================================================

Nothing is imported here: a program that only asks whether there is a vault loads ``store`` alone.
"""

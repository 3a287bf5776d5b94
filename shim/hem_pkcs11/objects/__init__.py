"""What a slot shows: keys of the device, session keys, certificates and data, and their handles."""

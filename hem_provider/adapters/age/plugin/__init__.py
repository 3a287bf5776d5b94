"""``age-plugin-hem``: what age and its relatives start to use keys of a device
(https://c2sp.org/age-plugin)."""

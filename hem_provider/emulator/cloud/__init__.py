"""The vendor's cloud, emulated: check-in backend, notification broker, register service (device API §7.3, §9,
§10)."""

"""What the endpoints do, one module per group of device API §3."""

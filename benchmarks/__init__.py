"""How long each operation takes at each layer, beside a bare HTTPS request in the same run."""

"""What ``hem gpg`` and ``hem scdaemon`` are made of."""

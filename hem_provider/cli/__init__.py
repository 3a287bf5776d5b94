"""The ``hem`` command: words and tables for people. One module per subcommand."""

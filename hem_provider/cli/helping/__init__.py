"""What ``hem help`` knows: the catalogue of everything that can be told as an error, and the pages."""

"""The file storage in a local directory, offered as a plugin."""

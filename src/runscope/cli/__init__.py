"""One file a command: parse, call one verb, render."""

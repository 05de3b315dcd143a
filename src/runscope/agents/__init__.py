"""What programs that read text ask: the same answers as the command line, short, over the Model Context Protocol."""

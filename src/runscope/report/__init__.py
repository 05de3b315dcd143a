"""View model to HTML, PNG, terminal and Markdown."""

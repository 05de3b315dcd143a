"""What lies in a folder or repository: which kind of model it is, whether it is whole, what it costs."""

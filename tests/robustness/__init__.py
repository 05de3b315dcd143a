"""Inputs, services and moments that nobody wants: nothing is run, nothing is lost, nothing hangs."""

"""Rewards and preferences: what tells of them whether anything is learned."""

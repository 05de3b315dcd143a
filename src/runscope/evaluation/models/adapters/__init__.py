"""What an adapter is, and the base that it goes onto."""

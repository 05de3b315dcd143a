"""What a resume did: both sides of a join as arrays, and the causes that compete to explain them."""

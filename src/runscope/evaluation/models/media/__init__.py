"""Models of pictures and sounds, by the processor that lies with them."""

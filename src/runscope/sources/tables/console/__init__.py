"""What trainings print: lines of libraries, of people's own loops, tables drawn in text."""

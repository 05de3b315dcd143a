"""What was found in forms that CI reads: SARIF and JUnit."""

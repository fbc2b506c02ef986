"""Precisions: weight MatMuls in 8 and 4 bits, half precision, and the recipes for each."""

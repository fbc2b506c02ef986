"""Precisions: weight MatMuls in int8 and int4, fp16, and the recipe of each."""

"""Forests whose outputs are features of a row: learnt without leakage, and whose input they owe it to."""

"""The settings of a job: one JSON Schema, from which the checks, the defaults and the docs page follow."""

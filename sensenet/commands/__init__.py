"""Commands for people: each module has a `main` that is one."""

"""The subcommands of `pyramid_dataset`, a module each."""

"""The name of the default model, apart from what it takes to load one: ``wam --help`` need not wait for torch."""

DEFAULT = "lattice32"

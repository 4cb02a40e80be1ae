"""Settings of the whole suite."""

from hypothesis import settings

# The first example of a run compiles patterns; how long that takes says nothing on a busy machine.
settings.register_profile("hypecheck", deadline=None)
settings.load_profile("hypecheck")

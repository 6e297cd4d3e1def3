"""Commands of the stand-alone site."""

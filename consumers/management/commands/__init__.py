"""Commands of the stand-alone site, one a module."""

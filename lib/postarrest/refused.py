"""Errors of users' files and settings, which are told in words and without a trace."""


class Refused(ValueError):
    """What the pipeline can not go on with; the message says where, what was found and what was expected."""

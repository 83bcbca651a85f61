"""What a user can get wrong, said in one line."""


class UserError(Exception):
    """A mistake that the user can mend: the message says what is wrong, where, and how to mend it."""

"""What the user named: the arguments to differentiate, and the words of partial derivatives."""

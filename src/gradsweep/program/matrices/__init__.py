"""Small matrices: algorithms of linear algebra, written as equations that hold at every point."""

"""The grammar of functions written in torch."""

"""What every stage leans on: errors, caches, locks, memory, progress.

Values of Python enter and leave. Never sees a function, a sweep, a Program or a framework.
"""

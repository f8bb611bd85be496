"""What every stage leans on: errors, caches, locks, memory and its reuse, progress, durations.

Python's own values enter and leave. Never sees a function, a sweep, a Program or a framework.
"""

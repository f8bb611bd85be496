"""Where the parts of a sweep are computed: here, or on a cluster. Siblings never meet."""

"""The `bubblewrap` backend: sandboxes of the kernel's namespaces, without a daemon."""

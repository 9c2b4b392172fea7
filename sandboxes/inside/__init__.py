"""Code that runs inside a sandbox. It is sent there as source text, in the order of `MODULES`.

It is for whatever Python (3.6 or newer) an image has: standard library only, no newer syntax, no `typing`
(start-up time and memory count in every sandbox), so annotations that old versions cannot evaluate are strings.
"""

MODULES = (
    "sandboxes.inside.identity",
    "sandboxes.inside.fence",
    "sandboxes.inside.processes",
    "sandboxes.inside.disk",
    "sandboxes.inside.output",
    "sandboxes.inside.files",
    "sandboxes.inside.stream",
    "sandboxes.inside.tunnel",
    "sandboxes.inside.call",
    "sandboxes.inside.calls",
    "sandboxes.inside.background",
    "sandboxes.inside.runner",
)
